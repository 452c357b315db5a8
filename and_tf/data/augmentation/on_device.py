"""Augmentation within the training step, on its device: functions for `compile(make_images=...)`.

Each makes the augmented images of a step from what `train_pipeline(yields=...)` yields. The random
numbers come from the pipeline: XLA's generator gives other numbers for the same seed.
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
        augmented images (B, S, S, 3) float32 in 0..255. Of V views, all but the indices have a
        second axis V.
    """

    def make_images(inputs: tuple[tf.Tensor, tf.Tensor], indices: tf.Tensor) -> tf.Tensor:
        images, noise = inputs
        return augment(images, noise, augmentation)

    return make_images


def from_noise(images: np.ndarray, augmentation: AugmentationSettings) -> MakeImages:
    """For `yields="noise"`: the device holds all images, and a step is sent nothing but numbers.

    Args:
        images: (N, S, S, 3) uint8, copied once to the device on which this is called;
            `cache.whole_images` tells whether a source has them.
        augmentation: as that of the pipeline.

    Returns:
        Function (noise (B, VALUES_PER_IMAGE), indices (B,)) to augmented images (B, S, S, 3)
        float32 in 0..255; or (B, V, VALUES_PER_IMAGE) to (B, V, S, S, 3), for V views.
    """
    # A constant: TensorFlow keeps uint8 variables on the host, and checkpoints hold variables.
    held = tf.constant(images)  # (N, S, S, 3) uint8

    def make_images(noise: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        chosen = tf.gather(held, indices)  # (B, S, S, 3)
        if len(noise.shape) == 3:
            chosen = tf.repeat(chosen[:, None], noise.shape[1], axis=1)  # (B, V, S, S, 3)
        return augment(chosen, noise, augmentation)

    return make_images
