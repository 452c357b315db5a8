"""Exchange of arrays between processes that share a pass over all images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

TYPES = ("int32", "int64", "float32", "float64")  # accepted by `Sharing.total`
BLOCK_BYTES = 64 << 20  # exchanged at once


class Sharing(Protocol):
    """The processes that share some work; each makes the same calls in the same order.

    Attributes:
        number: of this process, from 0.
        size: number of processes.
    """

    number: int
    size: int

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes of arrays of one shape and one type, int32, int64, float32 or
        float64. A value that is zero on all processes but one arrives unchanged."""


class Alone:
    """A single process, which shares with no other."""

    number, size = 0, 1

    def total(self, values: np.ndarray) -> np.ndarray:
        """The values themselves."""
        return values


ALONE = Alone()


def gathered(sharing: Sharing, part: np.ndarray, start: int, count: int) -> np.ndarray:
    """Gathers the rows of all processes, on all of them.

    Args:
        sharing: the processes.
        part: (n, ...) of any type, rows start .. start + n - 1.
        start: of this process; the parts of all processes follow one another.
        count: N, number of rows of all processes together.

    Returns:
        (N, ...) of the type of `part`.
    """
    if sharing.size == 1:
        return part
    rows = np.zeros((count, *part.shape[1:]), part.dtype)
    rows[start : start + len(part)] = part
    for block in row_blocks(rows):
        rows[block] = _total_of_any(sharing, rows[block])
    return rows


def _total_of_any(sharing: Sharing, rows: np.ndarray) -> np.ndarray:
    """`Sharing.total` of rows that only one process has, also of types that it does not accept."""
    if rows.dtype in TYPES:
        return sharing.total(rows)
    raw = np.ascontiguousarray(rows).view(np.uint8).reshape(-1)
    words = np.pad(raw, (0, -len(raw) % 4)).view(np.int32)
    found = sharing.total(words).view(np.uint8)[: len(raw)]
    return found.view(rows.dtype).reshape(rows.shape)


def from_first(
    sharing: Sharing, compute: Callable[[], np.ndarray], shape: tuple[int, ...], dtype: Any
) -> np.ndarray:
    """An array of this shape and type that the first process computes, on all processes.

    For what would take the other processes as long, or differ on another machine.
    """
    if sharing.size == 1:
        return compute()
    if sharing.number == 0:
        return gathered(sharing, compute(), 0, shape[0])
    return gathered(sharing, np.zeros((0, *shape[1:]), dtype), shape[0], shape[0])


def row_blocks(rows: np.ndarray, copies: int = 1) -> Iterator[slice]:
    """Slices of rows (N, ...), each small enough that its copies take at most `BLOCK_BYTES`."""
    row_bytes = max(1, copies * rows.nbytes // max(1, len(rows)))
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, len(rows), step):
        yield slice(start, min(start + step, len(rows)))
