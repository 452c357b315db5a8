"""Measurements of photos, stored next to their table: an update decodes only new photos."""

from __future__ import annotations

import importlib.metadata
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.coarse_search import SIDE
from and_tf.collection.duplicates.hashes import HASH_SIDE
from and_tf.collection.files import FILE_COLUMNS, Files, file_columns
from and_tf.collection.pictures import Pictures
from and_tf.runs.archives import check_arrays
from and_tf.runs.atomic_files import replace_by

SUFFIX = ".pictures.npz"  # of the file, in place of the table's suffix
FORM = 1  # to be raised when other things are measured, or the same ones differently
PACKAGES = (
    "pillow",
    "numpy",
    "scipy",
    "imagehash",
)  # another version may decode or measure differently

FORMS: dict[str, tuple[Any, ...]] = {  # kind of the dtype, and the shape after the first axis
    "thumbnails": ("u", SIDE, SIDE, 3),
    "hashes": ("b", HASH_SIDE, HASH_SIDE),
    "sharpness": ("f",),
    "brightness": ("f",),
    "contrast": ("f",),
    "pixel_checksums": ("U",),
}

logger = logging.getLogger(__name__)


class KeptPictures(NamedTuple):
    """What is already known about N photos.

    Attributes:
        pictures: measurements of M photos from before.
        rows: (N,) int64, row of each photo in `pictures`; -1 if it is new or changed.
        encoded: M thumbnails of the page as JPEG, empty where one was not made; or an empty
            sequence if there are none.
    """

    pictures: Pictures
    rows: np.ndarray
    encoded: Sequence[bytes] = ()

    def thumbnails(self) -> list[bytes | None]:
        """The page's thumbnails of the N photos, None where there is none yet."""
        if not self.encoded:
            return [None] * len(self.rows)
        return [None if row < 0 else self.encoded[row] or None for row in self.rows]


def kept_path(table: Path) -> Path:
    """Path of the measurements that belong to a table: TABLE.pictures.npz."""
    return table.with_suffix(SUFFIX)


def write_kept(
    path: Path, collection: Collection, pictures: Pictures, encoded: Sequence[bytes] = ()
) -> None:
    """Stores the measurements of a collection's photos; does nothing if they are not files.

    They only save time, so a failure to write them is only logged.

    Args:
        path: of the file, which is replaced.
        collection: N photos.
        pictures: their measurements.
        encoded: N thumbnails of the page as JPEG, empty where there is none; or an empty sequence.
    """
    columns = file_columns(collection.files)
    if not columns:
        return
    joined = "\0".join(collection.names).encode(errors="surrogateescape")
    arrays = {
        **columns,
        **{name: values for name, values in pictures._asdict().items() if name != "shapes"},
        "names": np.frombuffer(joined, np.uint8),
        "encoded": np.frombuffer(b"".join(encoded), np.uint8),
        "ends": np.cumsum([len(each) for each in encoded], dtype=np.int64),
        "made_by": np.array(_made_by()),
    }

    def write(partial: Path) -> None:
        with open(partial, "wb") as file:  # a file: savez would add a suffix to a name
            np.savez(file, **arrays)

    try:
        replace_by(path, write)
    except OSError as error:  # such as a full disk
        logger.warning("%s cannot be written (%s): an update will measure all photos.", path, error)


def read_kept(path: Path, names: Sequence[str], files: Files | None) -> KeptPictures | None:
    """Reads what is known about photos whose name, size and content have not changed.

    Args:
        path: of the file that `write_kept` wrote.
        names: N, of the photos now.
        files: of the photos now.

    Returns:
        None if nothing is known: there is no file, it is corrupt or was written by other versions,
        or the checksums of the photos are not known.
    """
    if files is None or files.checksums is None or not path.is_file():
        return None
    try:
        check_arrays(path)
        with np.load(path, allow_pickle=False) as file:
            if str(file["made_by"]) != _made_by():
                return None
            arrays = {name: file[name] for name in file.files}
        return _kept(arrays, names, files)
    except MemoryError:
        raise
    except Exception as error:  # after a kill, a full disk or an edit: all are measured again
        logger.debug("%s cannot be read (%s)", path, error)
        return None


def _kept(arrays: dict[str, np.ndarray], names: Sequence[str], files: Files) -> KeptPictures:
    before = arrays["names"].tobytes().decode(errors="surrogateescape").split("\0")
    size, _, checksum = (arrays[name].tolist() for name in FILE_COLUMNS)
    places = {key: row for row, key in enumerate(zip(before, size, checksum, strict=True))}
    assert files.checksums is not None
    keys = zip(names, files.sizes.tolist(), files.checksums.tolist(), strict=True)
    rows = np.array([places.get(key, -1) for key in keys], np.int64)
    measured = {name: arrays[name] for name in Pictures._fields if name != "shapes"}
    for name, (dtype, *sides) in FORMS.items():
        values = measured[name]
        if values.dtype.kind != dtype or values.shape != (len(before), *sides):
            raise ValueError(f"{name} holds {values.dtype} of shape {values.shape}")
        if dtype == "f" and not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    ends = arrays["ends"].tolist()
    if len(ends) not in (0, len(before)):
        raise ValueError("its thumbnails are of other photos")
    encoded = arrays["encoded"].tobytes()
    parts = [encoded[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    shapes = np.zeros((len(before), 2), np.int32)  # known from the files' headers anyway
    return KeptPictures(Pictures(shapes=shapes, **measured), rows, parts)


def _made_by() -> str:
    """What measurements depend on apart from the photos."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return json.dumps({"form": FORM} | versions)
