"""The index of a data set's record files: determined once, and kept for the next start.

A file is read once from beginning to end, which also checks it. The index holds the place, size,
checksum and shape of each record's image, and all small numeric features, such as labels and boxes.
It is kept in the user's cache folder, by path, size and time of the file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from and_tf.data.check_cache import cache_folder, write_arrays
from and_tf.data.decode import header_shape
from and_tf.data.headers import plain_shape
from and_tf.data.progress import progress_bar
from and_tf.data.sources.array_record_files import (
    close_readers,
    count_records,
    is_array_record,
    read_records,
)
from and_tf.data.sources.items import parsed_example
from and_tf.data.workers import thread_pool
from and_tf.errors import BrokenFile

logger = logging.getLogger(__name__)

MOST_NUMBERS = 64  # of a feature, per image on average; a feature with more is not indexed
RECORDS_AT_ONCE = 32
HEADER_BYTES, FOOTER_BYTES = 12, 4  # of a record in a TFRecord file: length and checksums


@dataclass(frozen=True)
class RecordIndex:
    """Index of the records of one file.

    Attributes:
        places: (N,) int64, offset of each image in a TFRecord file; number of the record in an
            ArrayRecord file.
        sizes: (N,) int64, bytes of each image.
        checksums: (N,) uint32, CRC-32 of each image.
        shapes: (N, 2) int32, height and width in pixels; 0 where the image is broken.
        numbers: {numeric feature: its values (V,), one image after the other}.
        counts: {numeric feature: (N,) int64, how many of the values each image has}.
    """

    places: np.ndarray
    sizes: np.ndarray
    checksums: np.ndarray
    shapes: np.ndarray
    numbers: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.places)

    def values_of(self, key: str) -> list[np.ndarray]:
        """The values of a numeric feature: an array (n,) of float32 or int64 for each image.

        Values of several dimensions are flattened, such as four numbers for each box. A feature of
        more than `MOST_NUMBERS` values per image on average is not kept.

        Args:
            key: such as `label`, `bbox` or `objects/bbox`.

        Raises:
            KeyError: if there is no such feature.
        """
        return np.split(self.numbers[key], np.cumsum(self.counts[key])[:-1])


def index_of_files(paths: Sequence[str], key: str, description: str) -> list[RecordIndex]:
    """The index of each record file.

    Args:
        paths: of TFRecord files, or ArrayRecord files: the format is part of the name.
        key: of the feature that holds the encoded image.
        description: for the progress bar.

    Raises:
        BrokenFile: if a file is corrupt; names it.
    """
    close_readers()  # files may have been rewritten since
    with progress_bar(len(paths), description, unit="file") as progress:
        found = []
        for index in thread_pool().map(lambda path: _index_of(path, key), paths):
            found.append(index)
            progress.update()
    return found


def _index_of(path: str, key: str) -> RecordIndex:
    """The index that an earlier start has kept, or a new one."""
    state = os.stat(path)
    stamp = np.array([state.st_size, state.st_mtime_ns], np.int64)
    name = hashlib.sha256(os.fsencode(f"{os.path.realpath(path)}\n{key}")).hexdigest()[:32]
    kept = cache_folder() / "records" / f"{name}.npz"
    try:
        return _read(kept, stamp)
    except FileNotFoundError:
        pass
    except Exception as error:  # after a kill, a full disk or another version: read it again
        logger.debug("%s cannot be used (%s)", kept, error)
    index = _new_index(path, key)
    try:
        _write(kept, stamp, index)
    except OSError as error:  # a home folder that is read-only or full
        logger.debug("%s cannot be written (%s)", kept, error)
    return index


def _new_index(path: str, key: str) -> RecordIndex:
    places: list[int] = []
    sizes: list[int] = []
    checksums: list[int] = []
    shapes: list[tuple[int, int]] = []
    numbers: dict[str, list[float]] = {}
    counts: dict[str, list[int]] = {}
    for number, (begin, record) in enumerate(_records(path)):
        features = parsed_example(record, key, path)
        image = features[key].bytes_list.value[0]
        places.append(number if is_array_record(path) else begin + _place_in(record, image))
        sizes.append(len(image))
        checksums.append(zlib.crc32(image))
        shapes.append(_shape(image))
        for name, feature in features.items():
            kind = feature.WhichOneof("kind")
            if kind not in ("int64_list", "float_list"):
                continue
            values = getattr(feature, kind).value
            numbers.setdefault(name, []).extend(values)
            counts.setdefault(name, [0] * number).append(len(values))
        for of_feature in counts.values():  # 0 where a record lacks a feature
            of_feature.extend([0] * (number + 1 - len(of_feature)))
    small = {n: v for n, v in numbers.items() if 0 < len(v) <= MOST_NUMBERS * len(places)}
    return RecordIndex(
        np.array(places, np.int64),
        np.array(sizes, np.int64),
        np.array(checksums, np.uint32),
        np.array(shapes, np.int32).reshape(-1, 2),
        {
            n: np.array(v, np.int64 if isinstance(v[0], int) else np.float32)
            for n, v in small.items()
            if v
        },
        {n: np.array(counts[n], np.int64) for n in small if numbers[n]},
    )


def _records(path: str) -> Iterator[tuple[int, bytes]]:
    """Records of a file, each with the offset at which it begins (0 in an ArrayRecord file).

    Raises:
        BrokenFile: if a checksum is wrong, or the file ends within a record.
    """
    if is_array_record(path):
        for start in range(0, count := count_records(path), RECORDS_AT_ONCE):
            numbers = list(range(start, min(start + RECORDS_AT_ONCE, count)))
            yield from ((0, record) for record in read_records(path, numbers))
        return
    import tensorflow as tf

    at = HEADER_BYTES
    try:
        for batch in tf.data.TFRecordDataset(path, buffer_size=8 << 20).batch(RECORDS_AT_ONCE):
            for record in batch.numpy():
                yield at, record
                at += len(record) + HEADER_BYTES + FOOTER_BYTES
    except tf.errors.OpError as error:
        reason = str(error).partition("\n")[0][:200]
        raise BrokenFile(f"{path} is corrupt ({reason}): write or copy the file again.") from error


def _place_in(record: bytes, image: bytes) -> int:
    """Where the bytes of an image begin in the record that holds them."""
    at = record.find(image[:64])
    while not record.startswith(image, at):
        at = record.find(image[:64], at + 1)
    return at


def _shape(image: bytes) -> tuple[int, int]:
    try:
        return plain_shape(image) or header_shape(image)
    except MemoryError:
        raise
    except Exception:  # a broken image is named when it is loaded
        return 0, 0


_ARRAYS = ("places", "sizes", "checksums", "shapes")


def _write(path: Path, stamp: np.ndarray, index: RecordIndex) -> None:
    arrays = {"stamp": stamp} | {name: getattr(index, name) for name in _ARRAYS}
    for name in index.numbers:
        arrays[f"numbers:{name}"], arrays[f"counts:{name}"] = (
            index.numbers[name],
            index.counts[name],
        )
    write_arrays(path, arrays)


def _read(path: Path, stamp: np.ndarray) -> RecordIndex:
    with np.load(path, allow_pickle=False) as file:
        if not np.array_equal(file["stamp"], stamp):
            raise ValueError("it belongs to another state of the file")
        names = [name.partition(":")[2] for name in file.files if name.startswith("numbers:")]
        return RecordIndex(
            **{name: file[name] for name in _ARRAYS},
            numbers={name: file[f"numbers:{name}"] for name in names},
            counts={name: file[f"counts:{name}"] for name in names},
        )
