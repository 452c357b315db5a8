"""Where the images of a source lie, without a Python object for each of a million.

A list of paths or bytes, `FilePaths`, `FileParts` or `ArrayRecords`: sequences of paths, or of
encoded bytes, that are made or read when they are asked for.
"""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from and_tf.data.reading import read_part, with_patience
from and_tf.errors import BrokenFile, MissingPackage, UserError


class FilePaths(Sequence[str]):
    """Paths of files in one folder: joined when they are asked for.

    Args:
        folder: in which they lie.
        names: their paths relative to it.
    """

    def __init__(self, folder: str | os.PathLike, names: Sequence[str]):
        self.folder, self.names = os.fspath(folder), names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return FilePaths(self.folder, self.names[row])
        return os.path.join(self.folder, self.names[row])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, rows: np.ndarray) -> FilePaths:
        """The paths of some files."""
        return FilePaths(self.folder, [self.names[row] for row in rows.tolist()])


class Records(Sequence[bytes]):
    """Encoded images in larger files, read one by one.

    Args:
        paths: of the F files.
        files: (N,) int, the file of each image.
        places: (N,) int64, where in its file each lies.
    """

    def __init__(self, paths: Sequence[str], files: np.ndarray, places: np.ndarray):
        self.paths, self.files, self.places = list(paths), files, places

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        return self._read(self.paths[self.files[row]], row)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(mine == theirs for mine, theirs in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    def _read(self, path: str, row: int) -> bytes:
        raise NotImplementedError

    def take(self, rows: np.ndarray) -> Records:
        """Some of the images."""
        raise NotImplementedError


class FileParts(Records):
    """Encoded images that lie in larger files as they are.

    Args:
        paths, files, places: as of `Records`; places are offsets in bytes.
        sizes: (N,) int64, bytes.
        checksums: (N,) uint32, CRC-32 of each image: it is compared whenever one is read.
    """

    def __init__(
        self,
        paths: Sequence[str],
        files: np.ndarray,
        places: np.ndarray,
        sizes: np.ndarray,
        checksums: np.ndarray,
    ):
        super().__init__(paths, files, places)
        self.sizes, self.checksums = sizes, checksums

    def _read(self, path: str, row: int) -> bytes:
        content, _ = read_part(path, int(self.places[row]), int(self.sizes[row]))
        if zlib.crc32(content) != self.checksums[row] or len(content) != self.sizes[row]:
            raise BrokenFile(
                f"{path} is damaged, or was written anew: an image of {self.sizes[row]:,} bytes at "
                f"{self.places[row]:,} has another checksum. Write or copy the file again."
            )
        return content

    def take(self, rows: np.ndarray) -> FileParts:
        parts = (self.files, self.places, self.sizes, self.checksums)
        return FileParts(self.paths, *(part[rows] for part in parts))


class ArrayRecords(Records):
    """Encoded images that are a feature of the examples in ArrayRecord files.

    Args:
        paths, files, places: as of `Records`; places are the numbers of the records.
        key: of the feature.
    """

    def __init__(self, paths: Sequence[str], files: np.ndarray, places: np.ndarray, key: str):
        super().__init__(paths, files, places)
        self.key = key

    def _read(self, path: str, row: int) -> bytes:
        (record,) = with_patience(path, lambda: array_record(path, [int(self.places[row])]))
        return parsed_example(record)[self.key].bytes_list.value[0]

    def take(self, rows: np.ndarray) -> ArrayRecords:
        return ArrayRecords(self.paths, self.files[rows], self.places[rows], self.key)


def array_record(path: str, numbers: list[int]) -> list[bytes]:
    """Some records of an ArrayRecord file.

    Raises:
        BrokenFile: it cannot be read.
        OSError: it is not there, or may not be read.
    """
    try:
        return _array_record_reader(path).read(numbers)
    except (RuntimeError, ValueError, IndexError) as error:
        with open(path, "rb"):  # says what is wrong, where it is no matter of the content
            pass
        reason = str(error).partition("\n")[0][:200]
        raise BrokenFile(f"{path} is damaged ({reason}): write or copy the file again.") from error


@functools.lru_cache(maxsize=128)  # descriptors; a set may have a thousand files
def _array_record_reader(path: str) -> Any:
    try:
        from array_record.python.array_record_module import ArrayRecordReader
    except ImportError as error:
        raise MissingPackage(f"{error}: {path} needs `pip install array_record`") from error
    return ArrayRecordReader(path, "readahead_buffer_size:0")


def count_array_records(path: str) -> int:
    """Number of records in an ArrayRecord file."""
    return _array_record_reader(path).num_records()


def parsed_example(record: bytes) -> Any:
    """The features of an `Example`, by their names."""
    from tensorflow_datasets.proto import tf_example_pb2  # tf.train.Example without TensorFlow

    return tf_example_pb2.Example.FromString(record).features.feature


def holds_paths(items: Sequence) -> bool:
    """Whether images are files, rather than encoded bytes: reads none."""
    return isinstance(items, FilePaths) or (
        isinstance(items, list) and bool(items) and isinstance(items[0], str)
    )


def items_at(items: Sequence, rows: np.ndarray) -> Sequence:
    """Some of the images, none of which is read for that."""
    if isinstance(items, FilePaths | Records):
        return items.take(rows)
    return [items[row] for row in rows.tolist()]


def joined_items(first: Sequence, second: Sequence) -> Sequence:
    """The images of two splits of a data set, none of which is read for that."""
    if not isinstance(first, Records) and not isinstance(second, Records):
        return [*first, *second]
    if isinstance(first, FileParts) and isinstance(second, FileParts):
        more = (
            np.concatenate([first.sizes, second.sizes]),
            np.concatenate([first.checksums, second.checksums]),
        )
        return FileParts(*_joined_places(first, second), *more)
    if isinstance(first, ArrayRecords) and isinstance(second, ArrayRecords):
        return ArrayRecords(*_joined_places(first, second), first.key)
    raise UserError("Splits that are stored in different ways cannot be joined: prepare them anew.")


def _joined_places(first: Records, second: Records) -> tuple[list[str], np.ndarray, np.ndarray]:
    return (
        [*first.paths, *second.paths],
        np.concatenate([first.files, second.files + len(first.paths)]),
        np.concatenate([first.places, second.places]),
    )
