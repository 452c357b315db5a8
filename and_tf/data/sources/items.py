"""Where the images of a source are stored, without a Python object for each of a million.

Besides a list of paths or bytes these are `FilePaths`, `FileParts` and `ArrayRecords`: sequences of
paths, or of encoded bytes, that are made or read on demand.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from and_tf.data.reading import read_part, with_patience
from and_tf.data.sources.array_record_files import read_records
from and_tf.errors import BrokenFile, UserError


class FilePaths(Sequence[str]):
    """Paths of files in one folder, joined on demand.

    Args:
        folder: that holds them.
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


OF_EACH_IMAGE = ("files", "places", "sizes", "checksums")  # members of `Records`


@dataclass(eq=False, repr=False)
class Records(Sequence[bytes]):
    """Encoded images in larger files, read one by one.

    Args:
        paths: of the F files.
        files: (N,) int, the file of each image.
        places: (N,) int64, where each image is in its file.
        sizes: (N,) int64, bytes.
        checksums: (N,) uint32, CRC-32 of each image, which is compared whenever one is read.
    """

    paths: Sequence[str]
    files: np.ndarray
    places: np.ndarray
    sizes: np.ndarray
    checksums: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        path = self.paths[self.files[row]]
        content = self._read(path, row)
        if len(content) != self.sizes[row] or zlib.crc32(content) != self.checksums[row]:
            raise BrokenFile(
                f"{path} is corrupt, or was rewritten: an image of {self.sizes[row]:,} bytes at "
                f"{self.places[row]:,} has a different checksum. Remove the file, and write or "
                "copy it again."
            )
        return content

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(mine == theirs for mine, theirs in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    def _read(self, path: str, row: int) -> bytes:
        raise NotImplementedError

    def take(self, rows: np.ndarray) -> Self:
        """Some of the images."""
        return replace(self, **{name: getattr(self, name)[rows] for name in OF_EACH_IMAGE})

    def join(self, other: Self) -> Self:
        """These images, then others that are stored in the same way."""
        paths = [*self.paths, *other.paths]
        other = replace(other, files=other.files + len(self.paths))
        joined = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in OF_EACH_IMAGE
        }
        return replace(self, paths=paths, **joined)


@dataclass(eq=False, repr=False)
class FileParts(Records):
    """Encoded images stored as they are in larger files; places are offsets in bytes."""

    def _read(self, path: str, row: int) -> bytes:
        content, _ = read_part(path, int(self.places[row]), int(self.sizes[row]))
        return content


@dataclass(eq=False, repr=False)
class ArrayRecords(Records):
    """Encoded images in ArrayRecord files of examples; places are the numbers of the records.

    Args:
        key: of the feature that holds the image.
    """

    key: str = "image"

    def _read(self, path: str, row: int) -> bytes:
        (record,) = with_patience(path, lambda: read_records(path, [int(self.places[row])]))
        return parsed_example(record, self.key, path)[self.key].bytes_list.value[0]


def parsed_example(record: bytes, key: str, path: str) -> Any:
    """The features of an `Example`, by their names.

    Args:
        record: the encoded example.
        key: of the feature that holds the image.
        path: of the file, for messages.

    Raises:
        BrokenFile: if it holds no image.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2  # tf.train.Example without TensorFlow

    try:
        features = tf_example_pb2.Example.FromString(record).features.feature
        if key in features and features[key].bytes_list.value:
            return features
        reason = f"it lacks {key!r}"
    except DecodeError as error:
        reason = str(error).partition("\n")[0]
    raise BrokenFile(f"{path} holds a record without an image ({reason}): write or copy it again.")


def holds_paths(items: Sequence) -> bool:
    """Whether images are files, rather than encoded bytes; reads none."""
    return isinstance(items, FilePaths) or (
        isinstance(items, list) and bool(items) and isinstance(items[0], str)
    )


def items_at(items: Sequence, rows: np.ndarray) -> Sequence:
    """Selects some of the images, without reading any."""
    if isinstance(items, FilePaths | Records):
        return items.take(rows)
    return [items[row] for row in rows.tolist()]


def joined_items(first: Sequence, second: Sequence) -> Sequence:
    """Joins the images of two splits of a data set, without reading any."""
    if not isinstance(first, Records) and not isinstance(second, Records):
        return [*first, *second]
    if isinstance(first, Records) and isinstance(second, type(first)):
        return first.join(second)
    raise UserError(
        "Splits that are stored in different ways cannot be joined: prepare them again."
    )
