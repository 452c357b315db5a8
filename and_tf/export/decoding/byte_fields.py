"""Numbers and chunks within the bytes of a file."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf


class ByteFields:
    """The bytes of a file, from which numbers are read; bytes beyond its end are 0.

    Args:
        encoded: scalar string tensor.
    """

    def __init__(self, encoded: tf.Tensor):
        self.encoded = encoded
        self.values = tf.io.decode_raw(encoded, tf.uint8)  # (n,)
        self.size = tf.size(self.values, tf.int64)

    def number(
        self, position: tf.Tensor | int, num_bytes: int = 1, big_endian: bool | tf.Tensor = False
    ) -> tf.Tensor:
        """Unsigned numbers of 1, 2, 3 or 4 bytes: (...) int64 for positions (...)."""
        places = tf.cast(position, tf.int64)[..., None] + tf.range(num_bytes, dtype=tf.int64)
        inside = (places >= 0) & (places < self.size)
        found = tf.gather(self.values, tf.clip_by_value(places, 0, self.size - 1))
        found = choose(inside, found, 0)  # (..., num_bytes)
        factors = tf.constant(256 ** np.arange(num_bytes), tf.int64)
        return tf.reduce_sum(found * choose(big_endian, factors[::-1], factors), axis=-1)

    def holds(self, position: tf.Tensor | int, expected: bytes) -> tf.Tensor:
        """Whether the file has these bytes at a position: scalar bool."""
        position = tf.minimum(tf.cast(position, tf.int64), self.size)
        return tf.strings.substr(self.encoded, position, len(expected)) == expected

    def find(
        self,
        start: tf.Tensor | int,
        is_wanted: Callable[[tf.Tensor], tf.Tensor],
        next_position: Callable[[tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """Walks from chunk to chunk up to one that is wanted.

        Returns:
            Its position, scalar int64; at least the number of bytes if there is none.
        """
        return tf.while_loop(
            lambda position: (position < self.size) & ~is_wanted(position),
            lambda position: (next_position(position),),
            (tf.cast(start, tf.int64),),
            parallel_iterations=1,
        )[0]


def choose(condition: tf.Tensor, chosen: tf.Tensor | int, other: tf.Tensor | int) -> tf.Tensor:
    """`tf.where` for int64."""
    return tf.where(condition, tf.cast(chosen, tf.int64), tf.cast(other, tf.int64))


def part(encoded: tf.Tensor, start: tf.Tensor | int, end: tf.Tensor | int) -> tf.Tensor:
    """The bytes from `start` up to, but not including, `end`."""
    start, end = tf.cast(start, tf.int64), tf.cast(end, tf.int64)
    return tf.strings.substr(encoded, start, tf.maximum(end - start, 0))


def require(condition: tf.Tensor, message: str) -> tf.Operation:
    """An operation that raises an error when it runs, unless a condition holds."""
    return tf.debugging.Assert(condition, [message])
