"""Number of cores, and threads that share the work on many images."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def num_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


NUM_THREADS = num_cores()
DECODED_BESIDE = 8 << 10  # bytes that a thread decodes while another opens its next image


def thread_pool() -> ThreadPoolExecutor:
    """The pool of this process; a fork gets its own, because threads do not survive it."""
    return _pool_of(os.getpid())


@functools.cache
def _pool_of(pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="decode")


def in_threads(work: Callable[[int], object], count: int, most: int | None = None) -> None:
    """Calls a function with each number below `count`; its first error is raised.

    Args:
        work: the function.
        count: number of calls.
        most: threads that the work can keep busy, see `decoding_threads`; by default one per core.
    """

    def work_on(rows: np.ndarray) -> None:
        for row in rows:
            work(row)

    if most == 1:
        return work_on(np.arange(count))
    parts = 4 * NUM_THREADS if most is None or most >= NUM_THREADS else most
    chunks = np.array_split(np.arange(count), parts)
    list(thread_pool().map(work_on, [rows for rows in chunks if len(rows)]))


def decoding_threads(mean_bytes: float) -> int:
    """The number of threads that decode images of this encoded size fastest.

    Opening an image takes 0.2 ms whatever its size, during which Python's lock is held. On 16 cores
    one thread per core took up to 0.8 ms for a CIFAR-10 image of 2.2 KiB; a single one takes 0.3.
    """
    return 1 + int(mean_bytes) // DECODED_BESIDE


def one_ahead(load: Callable[[int], T], keys: Sequence[int]) -> Iterator[T]:
    """Yields what is loaded for each key, in order, and meanwhile loads the next."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead = thread.submit(load, keys[0])
        for key in keys[1:]:
            loaded, ahead = ahead.result(), thread.submit(load, key)
            yield loaded
        yield ahead.result()
