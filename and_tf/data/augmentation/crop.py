"""Random crops of images of one size, resized: torchvision's RandomResizedCrop, on floats."""

import math

import tensorflow as tf

from and_tf.data.augmentation.columns import AREA, ATTEMPTS, CROP_RATIOS, FLIP, LEFT, RATIO, TOP
from and_tf.data.settings import AugmentationSettings


def resized_crops(planes: tf.Tensor, noise: tf.Tensor, settings: AugmentationSettings) -> tf.Tensor:
    """Random crops (B, 3, H, W) -> (B, 3, S, S), antialiased bilinear, flipped at random if set."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    size = settings.image_size
    top, left, crop_height, crop_width = tf.unstack(
        crop_boxes(noise, height, width, settings), axis=1
    )
    rows = interpolation(top, crop_height, height, size)  # (B, S, H)
    columns = interpolation(left, crop_width, width, size)  # (B, S, W)
    if settings.flip:
        mirrored = noise[:, FLIP, None, None] < 0.5
        columns = tf.where(mirrored, tf.reverse(columns, [1]), columns)
    planes = tf.matmul(rows[:, None], planes)  # (B, 3, S, W)
    planes = tf.matmul(planes, columns[:, None], transpose_b=True)  # (B, 3, S, S)
    return tf.clip_by_value(planes, 0.0, 255.0)  # the weights sum to 1 only up to rounding


def crop_boxes(
    noise: tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    settings: AugmentationSettings,
) -> tf.Tensor:
    """(B, 4): top, left, height and width of each crop, in whole pixels of the source image.

    The first of ten (area, ratio) pairs that fits, else the largest centre crop of allowed ratio.
    In float32: TensorFlow computes with int32 only on the host, which would wait for a GPU.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    smallest, (narrow, wide) = settings.crop_min_area, CROP_RATIOS
    area = height * width * (smallest + (1.0 - smallest) * noise[:, AREA])  # (B, ATTEMPTS)
    log_ratio = math.log(narrow) + (math.log(wide) - math.log(narrow)) * noise[:, RATIO]
    ratio = tf.exp(log_ratio)  # (B, ATTEMPTS)
    crop_width = tf.round(tf.sqrt(area * ratio))
    crop_height = tf.round(tf.sqrt(area / ratio))
    fits = (crop_width > 0) & (crop_width <= width) & (crop_height > 0) & (crop_height <= height)
    # reduce_min, because argmax does not specify which of several equal values it returns.
    attempts = tf.range(ATTEMPTS, dtype=tf.float32)
    first = tf.reduce_min(tf.where(fits, attempts, float(ATTEMPTS)), axis=1)  # (B,)
    fallback = tf.minimum(
        tf.stack([height, width]), tf.round(tf.stack([width / narrow, height * wide]))
    )
    tried = tf.stack([crop_height, crop_width], axis=2)  # (B, ATTEMPTS, 2)
    chosen = tf.cast(tf.minimum(first, ATTEMPTS - 1.0), tf.int32)  # (B,)
    tried = tf.gather(tried, chosen, batch_dims=1)  # (B, 2)
    found = (first < ATTEMPTS)[:, None]  # (B, 1)
    crop = tf.where(found, tried, fallback)  # (B, 2)
    room = tf.stack([height, width]) - crop  # (B, 2)
    corner = noise[:, TOP : LEFT + 1] * (room + 1.0)  # uniform over 0..room once rounded down
    corner = tf.floor(tf.where(found, tf.minimum(corner, room), room / 2.0))
    return tf.concat([corner, crop], axis=1)


def interpolation(
    start: tf.Tensor, length: tf.Tensor, source_size: int | tf.Tensor, size: int
) -> tf.Tensor:
    """The matrices (B, size, source_size) that resize `length` (B,) pixels from `start` to `size`.

    The triangle filter of PIL's BILINEAR: half-pixel centres, a support that grows with the scale
    when shrinking, weights that sum to 1. Pixels outside the crop have weight 0.
    """
    start, length = start[:, None, None], length[:, None, None]
    scale = length / size  # (B, 1, 1) source pixels per output pixel
    centre = start + (tf.range(size, dtype=tf.float32)[:, None] + 0.5) * scale  # (B, size, 1)
    pixel = tf.cast(tf.range(source_size), tf.float32) + 0.5  # (source_size,)
    weights = tf.nn.relu(1.0 - tf.abs(pixel - centre) / tf.maximum(scale, 1.0))
    weights = tf.where((pixel > start) & (pixel < start + length), weights, 0.0)
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)
