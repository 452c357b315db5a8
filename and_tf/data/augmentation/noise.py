"""The random numbers of the augmentation."""

import tensorflow as tf

from and_tf.data.augmentation.columns import VALUES_PER_IMAGE


def augmentation_noise(
    batch_size: int | tf.Tensor, seed: int | tf.Tensor, step: int | tf.Tensor, views: int = 1
) -> tf.Tensor:
    """The random numbers of one global batch.

    Args:
        batch_size: B, images in the global batch, an int or a scalar tensor.
        seed: the run's seed, an int or a scalar tensor.
        step: the global step, an int or a scalar tensor.
        views: V, augmented views of each image. The numbers of the first view do not depend on V.

    Returns:
        (B, VALUES_PER_IMAGE) float32, uniform in [0, 1), or (B, V, VALUES_PER_IMAGE) if V is
        above 1; `columns` lists what each number decides.
    """
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])  # (2,)
    shape = (views * batch_size, VALUES_PER_IMAGE)
    noise = tf.random.stateless_uniform(shape, seed=key, alg="philox")
    if views == 1:
        return noise
    noise = tf.reshape(noise, [views, batch_size, VALUES_PER_IMAGE])
    return tf.transpose(noise, [1, 0, 2])
