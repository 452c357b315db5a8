"""Which part of a batch, or of all images, one of several processes takes."""

from __future__ import annotations

from typing import Any


def share(count: Any, number: Any, size: Any) -> tuple[Any, Any]:
    """Where the part of one process begins and ends, of so many in order.

    The parts follow one another and their sizes differ by at most 1: one is empty only where there
    is less than one for each.

    Args:
        count: how many there are to take, from 0 on.
        number: of the process, from 0 on.
        size: number of processes. All are ints, or scalar tensors of one integer type.

    Returns:
        start, stop: of the same type.
    """
    return number * count // size, (number + 1) * count // size


def leaves_some_empty(count: int, size: int) -> bool:
    """Whether one of several devices gets nothing of a batch of so many as TensorFlow cuts it:
    equally many for each until none are left."""
    return 0 < count <= -(-count // size) * (size - 1)


def share_of_batches(count: int, number: int, size: int, batch_size: int) -> tuple[int, int]:
    """`share` in whole batches but for the last one: each batch is then what one process makes."""
    first, last = share(-(-count // batch_size), number, size)
    return min(first * batch_size, count), min(last * batch_size, count)
