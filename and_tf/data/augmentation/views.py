"""Augmentation within the training step, on its device: functions for `AND.compile(views=...)`.

Each makes the images of a step from what `train_pipeline(sends=...)` sends. Draws come from the
pipeline: XLA's generator gives other numbers for the same seed.
"""

from collections.abc import Callable

import tensorflow as tf

from and_tf.data.augmentation.augment import augment
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import ArraySource

Views = Callable[[object, tf.Tensor], tf.Tensor]


def from_images(augmentation: AugmentationSettings) -> Views:
    """For `sends="images"`: ((images (B, L, L, 3) uint8, draws), indices) to views (B, S, S, 3)."""

    def views(inputs, indices):
        images, draws = inputs
        return augment(images, draws, augmentation)

    return views


def from_draws(source: ArraySource, augmentation: AugmentationSettings) -> Views:
    """For `sends="draws"`: the device holds all images, and a step is sent nothing but numbers.

    Args:
        source: images (N, L, L, 3), copied once to the device on which this is called.
        augmentation: as that of the pipeline.

    Returns:
        Function (draws (B, DRAWS_PER_IMAGE), indices (B,)) to views (B, S, S, 3) float32 in 0..255.
    """
    # A constant: TensorFlow keeps uint8 variables on the host, and checkpoints hold variables.
    held = tf.constant(source.images)  # (N, L, L, 3) uint8

    def views(draws, indices):
        return augment(tf.gather(held, indices), draws, augmentation)

    return views
