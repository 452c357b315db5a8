"""The training augmentation: random resized crop, flip, colour jitter, random greyscale.

A pure function of images and random numbers, vectorised over the batch. Image j depends only on
noise[j], so a run that is split over replicas, or resumed, sees the images of an uninterrupted one.
"""

import numpy as np
import tensorflow as tf

from and_tf.data.augmentation.color import color_jitter, random_grayscale
from and_tf.data.augmentation.crop import resized_crops
from and_tf.data.augmentation.crop_box import has_whole_crop
from and_tf.data.settings import AugmentationSettings


def augment(
    images: tf.Tensor | np.ndarray, noise: tf.Tensor, settings: AugmentationSettings
) -> tf.Tensor:
    """Crops, flips, jitters and turns grey each image, according to its own random numbers.

    Args:
        images: (B, H, W, 3) uint8, or float in 0..255; or (B, V, H, W, 3) for V views of each.
        noise: (B, VALUES_PER_IMAGE) float32 from `augmentation_noise`, or
            (B, V, VALUES_PER_IMAGE).
        settings: an `AugmentationSettings`.

    Returns:
        (B, S, S, 3) or (B, V, S, S, 3) float32 in 0..255, not rounded; S is
        `settings.image_size`.
    """
    if len(noise.shape) == 3:
        flat = tf.reshape(images, tf.concat([[-1], tf.shape(images)[2:]], axis=0))
        views = augment(flat, tf.reshape(noise, [-1, noise.shape[2]]), settings)
        return tf.reshape(views, [-1, noise.shape[1], *views.shape[1:]])  # (B, V, S, S, 3)
    images = tf.ensure_shape(images, [None, None, None, 3])
    # As planes, (B, 3, H, W), every step below is a batched matmul or acts on whole planes.
    planes = tf.transpose(tf.cast(images, tf.float32), [0, 3, 1, 2])
    planes = resized_crops(planes, noise, settings)  # (B, 3, S, S)
    if settings.color_jitter > 0:
        planes = color_jitter(planes, noise, settings.color_jitter)
    if settings.grey > 0:
        planes = random_grayscale(planes, noise, settings.grey)
    return tf.transpose(planes, [0, 2, 3, 1])  # (B, S, S, 3)


def augment_others(
    images: tf.Tensor, noise: tf.Tensor, settings: AugmentationSettings
) -> tf.Tensor:
    """Augments the images of a step that `on_host.augment_crops` left as they were.

    Args:
        images: (..., S, S, 3) float32 in 0..255.
        noise: (..., VALUES_PER_IMAGE) float32, as passed to `augment_crops`.
        settings: of the augmentation.

    Returns:
        (..., S, S, 3) float32 in 0..255.
    """
    flat = tf.reshape(images, [-1, *images.shape[-3:]])
    values = tf.reshape(noise, [-1, noise.shape[-1]])
    others = tf.where(tf.logical_not(has_whole_crop(values)))[:, 0]
    found = augment(tf.gather(flat, others), tf.gather(values, others), settings)
    return tf.reshape(tf.tensor_scatter_nd_update(flat, others[:, None], found), tf.shape(images))
