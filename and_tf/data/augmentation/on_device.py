"""Augmentation within the training step, on its device: functions for `compile(make_images=...)`.

Each makes the augmented images of a step from what `train_pipeline(yields=...)` yields. The random
numbers come from the pipeline, because XLA's generator gives other numbers for the same seed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from and_tf.data.augmentation.augment import augment
from and_tf.data.settings import AugmentationSettings

MakeImages = Callable[[Any, tf.Tensor], tf.Tensor]


def from_images(augmentation: AugmentationSettings) -> MakeImages:
    """For `yields="images"`.

    Returns:
        Function ((images (B, S, S, 3) uint8, noise (B, VALUES_PER_IMAGE)), indices (B,)) to
        augmented images (B, S, S, 3) float32 in 0..255. With V views, all but the indices have a
        second axis V.
    """

    def make_images(inputs: tuple[tf.Tensor, tf.Tensor], indices: tf.Tensor) -> tf.Tensor:
        images, noise = inputs
        return augment(images, noise, augmentation)

    return make_images


def from_noise(images: np.ndarray, augmentation: AugmentationSettings) -> MakeImages:
    """For `yields="noise"`: the device holds all images; a step receives only noise and indices.

    Args:
        images: (N, S, S, 3) uint8, copied once to the device on which this is called;
            `cache.whole_images` returns those of a source that has them.
        augmentation: the settings of the pipeline.

    Returns:
        Function (noise (B, VALUES_PER_IMAGE), indices (B,)) to augmented images (B, S, S, 3)
        float32 in 0..255; or (B, V, VALUES_PER_IMAGE) to (B, V, S, S, 3) for V views.
    """
    # A constant, because variables are saved in checkpoints. TensorFlow gathers uint8 only on the
    # host, where it would copy all images in each step, so the device holds the bytes as int64.
    rows = images.reshape(len(images), -1)  # (N, S * S * 3)
    size = rows.shape[1]
    held = tf.constant(np.pad(rows, [(0, 0), (0, -size % 8)]).view(np.int64))

    def make_images(noise: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        views = noise.shape[1:-1]  # (), or (V,)
        chosen = tf.gather(held, tf.repeat(indices, views.num_elements()))  # (B * V, M)
        found = tf.reshape(tf.bitcast(chosen, tf.uint8), [-1, 8 * held.shape[1]])[:, :size]
        return augment(tf.reshape(found, [-1, *views, *images.shape[1:]]), noise, augmentation)

    return make_images
