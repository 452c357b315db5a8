"""The random numbers of the augmentation."""

import tensorflow as tf

from and_tf.data.augmentation.columns import VALUES_PER_IMAGE


def augmentation_noise(
    batch_size: int | tf.Tensor, seed: int | tf.Tensor, step: int | tf.Tensor
) -> tf.Tensor:
    """The random numbers of one global batch.

    Args:
        batch_size: B, images in the global batch, an int or a scalar tensor.
        seed: the run's seed, an int or a scalar tensor.
        step: the global step, an int or a scalar tensor.

    Returns:
        (B, VALUES_PER_IMAGE) float32, uniform in [0, 1); `columns` says what each is for.
    """
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])  # (2,)
    return tf.random.stateless_uniform((batch_size, VALUES_PER_IMAGE), seed=key, alg="philox")
