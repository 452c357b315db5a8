"""Where the images of a source lie, without a Python object for each of a million."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import overload

import numpy as np


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

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> FilePaths: ...
    def __getitem__(self, row: int | slice) -> str | FilePaths:
        if isinstance(row, slice):
            return FilePaths(self.folder, self.names[row])
        return os.path.join(self.folder, self.names[row])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, rows: np.ndarray) -> FilePaths:
        """The paths of some files."""
        return FilePaths(self.folder, [self.names[row] for row in rows.tolist()])


def holds_paths(items: Sequence) -> bool:
    """Whether images are files, rather than encoded bytes: reads none."""
    return isinstance(items, FilePaths) or (
        isinstance(items, list) and bool(items) and isinstance(items[0], str)
    )


def items_at(items: Sequence, rows: np.ndarray) -> Sequence:
    """Some of the images, none of which is read for that."""
    if isinstance(items, FilePaths):
        return items.take(rows)
    return [items[row] for row in rows.tolist()]


def joined_items(first: Sequence, second: Sequence) -> Sequence:
    """The images of two splits of a data set."""
    return [*first, *second]
