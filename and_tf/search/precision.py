"""Matrix products of discovery and evaluation in full float32."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Disables TensorFloat-32, which recent GPUs use by default.

    It rounds the factors to 11 significant bits: enough for training, but an error of 1e-3 in a
    cosine reorders neighbours and hides near-duplicates. The setting is restored at the end.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
