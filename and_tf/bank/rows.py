"""Reads rows of a large variable without copying all of it."""

import tensorflow as tf


def read_rows(variable: tf.Variable, indices: tf.Tensor) -> tf.Tensor:
    """Reads rows of this replica's copy of a variable: (N, ...) and (B,) to (B, ...).

    A dense read copies the whole variable once it has been scattered to; this read does not. It
    does what `tf.Variable.sparse_read` does, which variables of a `tf.distribute` strategy lack.
    """
    return tf.raw_ops.ResourceGather(
        resource=variable.handle, indices=indices, dtype=variable.dtype
    )


def read_block(bank: tf.Tensor | tf.Variable, start: int | tf.Tensor, size: int | tf.Tensor):
    """Rows start .. start + size: (N, D) to (size, D) float32, without a gradient."""
    if isinstance(bank, tf.Variable):
        return gather_rows(bank, start + tf.range(size))
    return tf.stop_gradient(in_float32(tf.slice(bank, [start, 0], [size, -1])))


def gather_rows(bank: tf.Tensor | tf.Variable, indices: tf.Tensor) -> tf.Tensor:
    """Rows at `indices`, of any shape S: (N, D) to (*S, D) float32, without a gradient."""
    read = read_rows if isinstance(bank, tf.Variable) else tf.gather
    return tf.stop_gradient(in_float32(read(bank, indices)))


def in_float32(rows: tf.Tensor) -> tf.Tensor:
    """Rows as float32, which all arithmetic uses; float16 is for storage only."""
    return tf.cast(rows, tf.float32)  # returns a float32 tensor itself
