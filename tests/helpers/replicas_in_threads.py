"""Replicas as threads of one process, whose collectives are sums over a list."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf


class Together:
    """What R threads compute together; counts the bytes that each has given.

    Args:
        size: R.
    """

    def __init__(self, size):
        self.size, self.bytes_given = size, 0
        self.barrier = threading.Barrier(size, timeout=60)
        self.given = [None] * size

    def exchange(self, number, values):
        """What all replicas gave, in their order."""
        # Copies, as of what travels: a thread may go on to write into its own.
        self.given[number] = [v.copy() if isinstance(v, np.ndarray) else v for v in values]
        if number == 0:
            self.bytes_given += sum(np.asarray(v).nbytes for v in values)
        self.barrier.wait()
        found = list(self.given)
        self.barrier.wait()  # all have read before the next exchange
        return found


class Replica:
    """One of them, as `and_tf.bank.shards.Replicas` and `and_tf.data.exchange.Sharing` ask for."""

    def __init__(self, together, number):
        self.together, self.number, self.size = together, number, together.size

    def maximum(self, value):
        return tf.reduce_max(
            tf.stack([v for (v,) in self.together.exchange(self.number, [value])]), 0
        )

    def total(self, values):
        """Of a list of tensors each, of an array itself."""
        is_array = isinstance(values, np.ndarray)
        given = self.together.exchange(self.number, [values] if is_array else values)
        totals = [sum(parts[1:], parts[0]) for parts in zip(*given, strict=True)]
        return totals[0] if is_array else totals


def on_each(size, work):
    """What `work(replica)` gives on each of R replicas, and the bytes that one of them gave."""
    together = Together(size)
    with ThreadPoolExecutor(size) as pool:
        results = list(pool.map(work, [Replica(together, number) for number in range(size)]))
    return results, together.bytes_given


def shards_of(rows, size):
    """The rows of each of R replicas, i mod R = r, filled up by rows of large values."""
    parts = [rows[number::size] for number in range(size)]
    longest = len(parts[0])
    return [
        np.concatenate([part, np.full((longest - len(part), rows.shape[1]), 9, rows.dtype)])
        for part in parts
    ]
