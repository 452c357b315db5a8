"""Cores, and the threads that share work over many images."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor


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
