"""What processes that share a pass over all images give to one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

TYPES = ("int32", "int64", "float32", "float64")  # that `Sharing.total` takes
BLOCK_BYTES = 64 << 20  # that are exchanged at once


class Sharing(Protocol):
    """The processes that share some work; each calls the same in the same order.

    Attributes:
        number: of this process, from 0 on.
        size: how many there are.
    """

    number: int
    size: int

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes of arrays of one shape and one type, int32, int64, float32 or
        float64. Zeros add nothing: a value that one process alone has arrives unchanged."""


class Alone:
    """One process that has nobody to share with."""

    number, size = 0, 1

    def total(self, values: np.ndarray) -> np.ndarray:
        """The values themselves."""
        return values


ALONE = Alone()


def gathered(sharing: Sharing, part: np.ndarray, start: int, count: int) -> np.ndarray:
    """The rows of all processes, on all.

    Args:
        sharing: the processes.
        part: (n, ...), the rows start .. start + n.
        start: of this process; the parts of all follow one another.
        count: N, of the rows of all.

    Returns:
        (N, ...) of the type of `part`, which is any.
    """
    if sharing.size == 1:
        return part
    rows = np.zeros((count, *part.shape[1:]), part.dtype)
    rows[start : start + len(part)] = part
    for block in row_blocks(rows):
        rows[block] = _total_of_any(sharing, rows[block])
    return rows


def _total_of_any(sharing: Sharing, rows: np.ndarray) -> np.ndarray:
    """`Sharing.total` of rows that one process alone has, also of types that it does not take."""
    if rows.dtype in TYPES:
        return sharing.total(rows)
    raw = np.ascontiguousarray(rows).view(np.uint8).reshape(-1)
    words = np.pad(raw, (0, -len(raw) % 4)).view(np.int32)
    found = sharing.total(words).view(np.uint8)[: len(raw)]
    return found.view(rows.dtype).reshape(rows.shape)


def from_first(
    sharing: Sharing, compute: Callable[[], np.ndarray], shape: tuple[int, ...], dtype: Any
) -> np.ndarray:
    """What the first process computes, an array of this shape and type, on all.

    It is for what would take the others as long, or come out differently on another machine.
    """
    if sharing.size == 1:
        return compute()
    if sharing.number == 0:
        return gathered(sharing, compute(), 0, shape[0])
    return gathered(sharing, np.zeros((0, *shape[1:]), dtype), shape[0], shape[0])


def row_blocks(rows: np.ndarray, copies: int = 1) -> Iterator[slice]:
    """Slices of rows (N, ...), so many copies of which take at most `BLOCK_BYTES`."""
    row_bytes = max(1, copies * rows.nbytes // max(1, len(rows)))
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, len(rows), step):
        yield slice(start, min(start + step, len(rows)))
