"""Which part of a batch, or of all images, each of several processes takes."""

from __future__ import annotations

from typing import Any


def share(count: Any, number: Any, size: Any) -> tuple[Any, Any]:
    """Where the part of one process begins and ends.

    The parts follow one another and their sizes differ by at most 1, so one is empty only if there
    are fewer items than processes.

    Args:
        count: number of items, at least 0.
        number: of the process, from 0.
        size: number of processes. All are ints, or scalar tensors of one integer type.

    Returns:
        start, stop: of the same type.
    """
    return number * count // size, (number + 1) * count // size


def leaves_some_empty(count: int, size: int) -> bool:
    """Whether one of several devices gets no image of a batch of this size, as TensorFlow splits
    it: equally many for each device until none are left."""
    return 0 < count <= -(-count // size) * (size - 1)


def share_of_batches(count: int, number: int, size: int, batch_size: int) -> tuple[int, int]:
    """`share` in whole batches (the last may be smaller), which are thus those of one process."""
    first, last = share(-(-count // batch_size), number, size)
    return min(first * batch_size, count), min(last * batch_size, count)
