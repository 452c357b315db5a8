"""The record files of a TFDS set: which ones a split needs, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from and_tf.data.sources.array_record_files import is_array_record
from and_tf.data.sources.items import ArrayRecords, FileParts
from and_tf.data.sources.record_index import RecordIndex, index_of_files
from and_tf.data.splits import split_error, split_ranges
from and_tf.errors import BrokenFile, UserError


@dataclass(frozen=True)
class SplitRecords:
    """The images of a split in their order, and the other content of their records.

    Attributes:
        items: the encoded images, read one by one on demand.
        sizes: (N,) int64, bytes.
        checksums: (N,) uint32, CRC-32.
        shapes: (N, 2) int32, height and width in pixels.
        parts: the index of each file, and its rows (n,) int that belong to the split.
    """

    items: FileParts | ArrayRecords
    sizes: np.ndarray
    checksums: np.ndarray
    shapes: np.ndarray
    parts: Sequence[tuple[RecordIndex, np.ndarray]]

    def values_of(self, key: str) -> list[np.ndarray]:
        """The values of a numeric feature of the records, by its name: a flat array for each image.

        Args:
            key: such as `label`, `bbox`, or `objects/bbox` within a sequence.

        Returns:
            N arrays (n,), float32 or int64; empty where an image has none.

        Raises:
            KeyError: if there is no such numeric feature, or it has more than
                `record_index.MOST_NUMBERS` values per image.

        Example:

        >>> found = read_split(builder.info, "train", "tfds:caltech_birds2011", "image")
        >>> boxes = np.stack(found.values_of("bbox"))  # (N, 4)
        """
        found: list[np.ndarray] = []
        for index, rows in self.parts:
            values = index.values_of(key)
            found.extend(values[row] for row in rows.tolist())
        return found

    def single(self, key: str) -> np.ndarray:
        """(N,) int32: the values of a single-integer feature; -1 where an image has none."""
        parts = []
        for index, rows in self.parts:
            found = np.full(len(index), -1, np.int32)
            if key in index.counts:  # the feature is absent from a file without labels
                has_one = index.counts[key] == 1
                found[has_one] = index.numbers[key][(np.cumsum(index.counts[key]) - 1)[has_one]]
            parts.append(found[rows])
        return np.concatenate(parts)


def read_split(info: Any, split: str, spec: str, key: str) -> SplitRecords:
    """What the record files of a split hold; only files that it needs are read, each once.

    Args:
        info: of the TFDS set.
        split: in TFDS notation.
        spec: of the set, for messages.
        key: of the feature that holds the image.

    Raises:
        NotFound: if there is no such split.
        BrokenFile: if a file is corrupt; names it.
        UserError: if the format of the files has no random access, or they are not on a disk.
        OSError: if a file does not exist.
    """
    lengths = {name: of_split.num_examples for name, of_split in info.splits.items()}
    needed: list[tuple[str, np.ndarray]] = []
    for name, start, stop in split_ranges(split, spec, lengths, lengths):
        ends = np.cumsum(info.splits[name].shard_lengths)
        for path, end, length in zip(
            _paths(info.splits[name]), ends, info.splits[name].shard_lengths, strict=True
        ):
            first = end - length
            rows = np.arange(max(start - first, 0), max(min(stop - first, length), 0))
            if len(rows):
                needed.append((path, rows))
    if not needed:
        raise split_error(split, spec, lengths, "it holds no image")
    paths = list(dict.fromkeys(path for path, _ in needed))
    indices = dict(zip(paths, index_of_files(paths, key, f"reading {spec}"), strict=True))
    return _joined([(path, indices[path], rows) for path, rows in needed], key)


def _joined(parts: list[tuple[str, RecordIndex, np.ndarray]], key: str) -> SplitRecords:
    """Joins the records at some rows of each file; a file may occur several times."""
    for path, index, rows in parts:
        if rows[-1] >= len(index):
            raise BrokenFile(
                f"{path} holds {len(index):,} records, fewer than it should: write or copy the "
                "file again."
            )
    numbers = {path: number for number, path in enumerate(dict.fromkeys(p for p, _, _ in parts))}
    files = np.concatenate([np.full(len(rows), numbers[p], np.int32) for p, _, rows in parts])
    places, sizes, checksums, shapes = (
        np.concatenate([getattr(index, name)[rows] for _, index, rows in parts])
        for name in ("places", "sizes", "checksums", "shapes")
    )
    stored = [*numbers], files, places, sizes, checksums
    in_array_records = is_array_record(parts[0][0])
    return SplitRecords(
        ArrayRecords(*stored, key) if in_array_records else FileParts(*stored),
        sizes,
        checksums,
        shapes,
        [(index, rows) for _, index, rows in parts],
    )


def _paths(of_split: Any) -> list[str]:
    """The files of a split, in the order of its images."""
    paths = [os.fspath(path) for path in of_split.filepaths]
    names = [os.path.basename(path) for path in paths]
    if not all(".tfrecord" in name or ".array_record" in name for name in names):
        raise UserError(
            f"{paths[0]} cannot be read image by image: prepare the set as tfrecord or "
            "array_record."
        )
    if "://" in paths[0]:
        raise UserError(f"{paths[0]} is not on a disk: copy the set to one.")
    return paths
