"""Augmentation before the training step: crops of photos one by one, small images all together."""

import numpy as np
import tensorflow as tf

from and_tf.data.augmentation.augment import augment
from and_tf.data.augmentation.crop_box import has_whole_crop
from and_tf.data.augmentation.photo import augment_crop
from and_tf.data.settings import AugmentationSettings
from and_tf.data.workers import in_threads


def augment_crops(
    images: np.ndarray, noise: np.ndarray, settings: AugmentationSettings
) -> np.ndarray:
    """Augments those of a step's images that are crops already.

    Args:
        images: (..., S, S, 3) uint8, as `load_crops` of a source gives them.
        noise: (..., VALUES_PER_IMAGE) float32, that it gives with them.
        settings: of the augmentation.

    Returns:
        (..., S, S, 3) float32 in 0..255, the other images as they were.
    """
    is_crop = has_whole_crop(noise)
    if not is_crop.any():
        return images.astype(np.float32)
    augmented = np.empty(images.shape, np.float32)

    def augment_one(row: int) -> None:
        place = np.unravel_index(row, is_crop.shape)
        if is_crop[place]:
            augment_crop(images[place], noise[place], settings, out=augmented[place])
        else:
            augmented[place] = images[place]

    in_threads(augment_one, is_crop.size)
    return augmented


def augment_others(
    images: tf.Tensor, noise: tf.Tensor, settings: AugmentationSettings
) -> tf.Tensor:
    """Augments those that `augment_crops` left as they were: (..., S, S, 3) float32 in 0..255."""
    flat = tf.reshape(images, [-1, *images.shape[-3:]])
    values = tf.reshape(noise, [-1, noise.shape[-1]])
    others = tf.where(tf.logical_not(has_whole_crop(values)))[:, 0]
    found = augment(tf.gather(flat, others), tf.gather(values, others), settings)
    return tf.reshape(tf.tensor_scatter_nd_update(flat, others[:, None], found), tf.shape(images))
