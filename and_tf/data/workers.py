"""Cores, and the threads that share work over many images."""

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


def thread_pool() -> ThreadPoolExecutor:
    """One pool for a process; a fork gets its own, for threads do not survive it."""
    return _pool_of(os.getpid())


@functools.cache
def _pool_of(pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="decode")


def in_threads(work: Callable[[int], object], count: int) -> None:
    """Calls a function with each number below `count`; the first error is raised."""

    def work_on(rows: np.ndarray) -> None:
        for row in rows:
            work(row)

    chunks = np.array_split(np.arange(count), 4 * NUM_THREADS)
    list(thread_pool().map(work_on, [rows for rows in chunks if len(rows)]))


def one_ahead(load: Callable[[int], T], keys: Sequence[int]) -> Iterator[T]:
    """Yields what is loaded for each key, in order; the next is loaded while one is used."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead = thread.submit(load, keys[0])
        for key in keys[1:]:
            loaded, ahead = ahead.result(), thread.submit(load, key)
            yield loaded
        yield ahead.result()
