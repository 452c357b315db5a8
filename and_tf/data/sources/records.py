"""Images packed into a few large files, with their names and labels: records:PATH.

For each split a packed folder holds files such as `train-00000-of-00012.array_record`, whose
examples have an `image` and, if there are any, `name` and `label`, in the order of the images. Next
to each is an .npz file with what has to be known at the start, so that no image is read for it.
`records.json` is written when all files are complete.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.data.sources.array_record_files import array_record_module, close_readers
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.items import ArrayRecords
from and_tf.data.splits import SourceOptions, Splits
from and_tf.errors import Argument, BrokenFile, NoBoxes, NotFound
from and_tf.runs import schema
from and_tf.runs.archives import check_arrays

COMPLETE, PLAN = "records.json", "plan.json"
VERSION = 2
COLUMNS: dict[str, np.dtype] = {  # of the .npz file next to each file of images
    "names": np.dtype(np.uint8),
    "labels": np.dtype(np.int32),
    "sizes": np.dtype(np.int64),
    "checksums": np.dtype(np.uint32),
    "shapes": np.dtype(np.int32),
    "boxes": np.dtype(np.float64),  # if the data set has any
}
WIDTHS = {"shapes": (2,), "boxes": (4,)}  # of columns with several numbers per image
LOWEST = {"labels": -1, "sizes": 1, "shapes": 0}
OF_ANY_VERSION = schema.Schema({"version": schema.whole(1)}, required=("version",))
REMEDY = "pack the images again"


@dataclasses.dataclass(frozen=True)
class PackedSplit:
    """Metadata of a packed split.

    Attributes:
        ends: for each file, the number of images in it and in the files before it.
        fingerprint, identity: of the source that was packed.
        class_names: of its labels; None if it has none.
        has_names: whether images have names.
        broken: name of each image that was left out, and why it cannot be read.
        boxed: fingerprint of the source with its bounding boxes; None if it has none.
    """

    ends: list[int]
    fingerprint: str
    identity: str
    class_names: list[str] | None
    has_names: bool
    broken: list[list[str]]
    boxed: str | None

    def file(self, folder: Path, split: str, number: int) -> Path:
        """The path of a file of images."""
        return folder / f"{split}-{number:05}-of-{len(self.ends):05}.array_record"

    @property
    def columns(self) -> dict[str, np.dtype]:
        """The columns of the .npz files, with their types."""
        return {name: COLUMNS[name] for name in COLUMNS if name != "boxes" or self.boxed}

    def count(self, number: int) -> int:
        """The number of images in a file."""
        return self.ends[number] - (self.ends[number - 1] if number else 0)

    def rows(self, number: int) -> np.ndarray:
        """(n,) int, the indices of the images in a file."""
        return np.arange(self.ends[number] - self.count(number), self.ends[number])


def index_file(file: Path) -> Path:
    """The path of the index of a file of images: names, labels and so on."""
    return file.with_suffix(".npz")


def read_plan(path: Path, remedy: str = REMEDY) -> dict[str, PackedSplit]:
    """The splits of a packed folder, by their names.

    Args:
        path: of the plan.
        remedy: what to do if it is corrupt, for the message.

    Raises:
        FileNotFoundError: if it does not exist.
        BrokenFile: if it is corrupt, or of another version.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    version = schema.read_object(path, OF_ANY_VERSION, remedy)["version"]
    if version != VERSION:
        raise BrokenFile(
            f"{path} is of format {version}, but this version of and_tf reads format {VERSION}: "
            "remove the folder, and pack the images again."
        )
    found = schema.read_object(path, schema.PACK, remedy)["splits"]
    fields = [field.name for field in dataclasses.fields(PackedSplit)]
    splits = {
        name: PackedSplit(**{field: split[field] for field in fields})
        for name, split in found.items()
    }
    for name, split in splits.items():
        if min(np.diff(split.ends, prepend=0)) < 1:
            raise BrokenFile(f"{path} cannot be read (a file of {name} has no images): {remedy}.")
    return splits


def records_splits(path: str, options: SourceOptions) -> Splits:
    """The splits of a packed folder; reads no image."""
    array_record_module()  # fails at once if it is missing
    folder = Path(path)
    try:
        plan = read_plan(folder / COMPLETE)
    except FileNotFoundError as error:
        if (folder / PLAN).is_file():
            raise BrokenFile(
                Argument("data", f"records:{path}"),
                " is not complete: packing was interrupted; the same command continues it.",
            ) from error
        raise NotFound(
            Argument("data", f"records:{path}"),
            f" holds no packed images (there is no {COMPLETE}): correct the path, or pack a folder "
            "first (pack.py).",
        ) from error
    return Splits(
        {
            name: functools.partial(_open, folder, name, split, options.crop_to_box)
            for name, split in plan.items()
        }
    )


def _open(folder: Path, name: str, split: PackedSplit, crop_to_box: bool) -> EncodedSource:
    if crop_to_box and not split.boxed:
        raise NoBoxes(
            Argument("crop_to_box", True), " needs bounding boxes, which ",
            Argument("data", f"records:{folder}"), " does not have, as what was packed has none: "
            "leave it out.",
        )  # fmt: skip
    close_readers()  # files may have been packed again since
    files = [split.file(folder, name, number) for number in range(len(split.ends))]
    counts = [split.count(number) for number in range(len(files))]
    indices = [read_index(file, split.columns, n) for file, n in zip(files, counts, strict=True)]
    columns = {key: np.concatenate([index[key] for index in indices]) for key in split.columns}
    joined = b"\0".join(index["names"].tobytes() for index in indices)
    names = joined.decode(errors="surrogateescape").split("\0") if split.has_names else None
    if fault := _fault(columns, names, split.class_names):
        raise BrokenFile(f"{folder}, split {name}, cannot be read ({fault}): {REMEDY}.")
    return EncodedSource(
        ArrayRecords(
            [os.fspath(file) for file in files],
            np.repeat(np.arange(len(files), dtype=np.int32), counts),
            np.concatenate([np.arange(count) for count in counts]),
            columns["sizes"],
            columns["checksums"],
        ),
        f"records:{folder}",
        None if split.class_names is None else columns["labels"],
        split.class_names,
        names,
        columns["sizes"],
        split.identity,
        columns["checksums"],
        shapes=columns["shapes"],
        broken=tuple((name, reason) for name, reason in split.broken),
        boxes=columns["boxes"] if crop_to_box else None,
    )


def _fault(
    columns: dict[str, np.ndarray], names: list[str] | None, class_names: list[str] | None
) -> str:
    """What is inconsistent between the indices of a split; empty if nothing is."""
    labels = columns["labels"]
    if names is not None and len(names) != len(labels):
        return f"{len(names)} names of {len(labels)} images"
    if class_names is not None and not -1 <= labels.min() <= labels.max() < len(class_names):
        return f"labels from {labels.min()} to {labels.max()} of {len(class_names)} classes"
    return ""


def _fault_of_index(found: dict[str, Any], columns: dict[str, np.dtype], count: int) -> str:
    """What is wrong with the columns of an index of `count` images; empty if nothing is."""
    for key, dtype in columns.items():
        rows = (found[key].size,) if key == "names" else (count, *WIDTHS.get(key, ()))
        if found[key].dtype != dtype or found[key].shape != rows:
            return f"{key} holds {found[key].dtype} of shape {found[key].shape} for {count} images"
    if not np.isfinite(found.get("boxes", 0.0)).all():
        return "boxes hold NaN or infinite values"
    for key, lowest in LOWEST.items():
        if (value := found[key].min()) < lowest:
            return f"{key} hold {value}"
    return ""


def read_index(file: Path, columns: dict[str, np.dtype], count: int) -> dict[str, np.ndarray]:
    """Reads the index of a file of images.

    Args:
        file: of the images.
        columns: of the index, with their types.
        count: number of images.

    Raises:
        BrokenFile: if the file or its index is missing or corrupt; names the file.
    """
    try:
        check_arrays(index_file(file))
        with np.load(index_file(file), allow_pickle=False) as arrays:
            found: dict[str, Any] = {key: arrays[key] for key in (*columns, "bytes")}
        if fault := _fault_of_index(found, columns, count):
            raise ValueError(fault)
        size = file.stat().st_size
        if size != int(found["bytes"]):
            raise ValueError(f"{size:,} bytes instead of {int(found['bytes']):,}")
    except Exception as error:  # corrupt files make NumPy raise nearly anything
        raise BrokenFile(
            f"{file} is corrupt or missing ({error}): pack the images again, which rewrites "
            "only this file, or copy it again."
        ) from error
    return found
