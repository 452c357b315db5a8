"""What work over many images shares: threads and a progress bar."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

NUM_THREADS = min(8, os.cpu_count() or 1)
SECONDS_BEFORE_PROGRESS = 3


def thread_pool() -> ThreadPoolExecutor:
    """One pool for a process; a fork gets its own, for threads do not survive it."""
    return _pool_of(os.getpid())


@functools.cache
def _pool_of(pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="decode")


def progress_bar(total: int, description: str) -> tqdm:
    """Counts images; silent where stderr is no terminal (disable=None)."""
    return tqdm(
        total=total, desc=description, unit="image", disable=None, delay=SECONDS_BEFORE_PROGRESS
    )
