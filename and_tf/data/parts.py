"""Work on many files in parts, in threads only where they help.

Looking at a file in the page cache takes a few microseconds, all of it under Python's global lock:
two threads then wait for each other and take three times as long as one (12 s with one and 39 s
with two for the headers of a million files). Waiting for a disk or network is where threads help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from and_tf.data.workers import thread_pool

ROWS_OF_A_PART, SLOW_ROWS_OF_A_PART = 500, 8
WAITING_THREADS = 16


def in_parts(
    work: Callable[[np.ndarray], object], rows: np.ndarray, in_threads: bool = False
) -> Iterator[int]:
    """Calls a function with parts of the rows: in this thread until it has to wait, then in others.

    Args:
        work: takes some rows (n,) int; its first error is raised.
        rows: (N,) int.
        in_threads: whether to use threads from the start, one per core, and small parts; for work
            that is mostly done without Python's lock, such as decoding.

    Yields:
        The number of rows of each finished part.
    """

    def counted(part: np.ndarray) -> int:
        work(part)
        return len(part)

    size = SLOW_ROWS_OF_A_PART if in_threads else ROWS_OF_A_PART
    parts = iter([rows[start : start + size] for start in range(0, len(rows), size)])
    if in_threads:
        yield from thread_pool().map(counted, parts)
    for part in parts:
        before = _waits()
        work(part)
        is_waiting = _waits() - before > len(part) // 4
        yield len(part)
        if is_waiting:
            break
    with ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="files") as pool:
        yield from pool.map(counted, parts)


def _waits() -> int:
    """How often this thread has waited for a disk or another thread; 0 where that is not counted.

    Time is a poorer measure: on a busy machine a thread is slow even if it never waits for a disk.
    """
    try:
        import resource

        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    except (ImportError, AttributeError):  # not Linux: work is done without threads
        return 0
