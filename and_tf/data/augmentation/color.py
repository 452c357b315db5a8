"""Random changes of colour: torchvision's ColorJitter and RandomGrayscale, on floats."""

import tensorflow as tf

from and_tf.data.augmentation.columns import GREY, ORDER
from and_tf.data.augmentation.jitter_draws import (
    ADJUST_CONTRAST,
    ADJUST_SATURATION,
    GREY_WEIGHTS,
    ORDERS,
    SHIFT_HUE,
    jitter_amounts,
)


def color_jitter(planes: tf.Tensor, noise: tf.Tensor, strength: float) -> tf.Tensor:
    """Jitters brightness, contrast, saturation and hue of (B, 3, S, S), in each image's own order.

    All but hue are affine in the colour, and an affine step is cheap. So every image takes three
    affine steps, hue, and three more affine steps; those that its order does not call for are the
    identity. Shapes stay static, and hue is computed once.
    """
    operations = operation_order(noise)  # (B, 4)
    factors, shift = jitter_amounts(noise, strength)  # (B, 3), (B,)
    pixels = tf.reshape(planes, [-1, 3, tf.shape(planes)[2] * tf.shape(planes)[3]])
    hue_place = tf.argmax(operations == SHIFT_HUE, axis=1)  # (B,) int64
    for place in range(3):
        pixels = affine_step(pixels, operations[:, place], factors, place < hue_place)
    pixels = shift_hue(pixels, shift)
    for place in range(1, 4):
        pixels = affine_step(pixels, operations[:, place], factors, place > hue_place)
    return tf.reshape(pixels, tf.shape(planes))


def operation_order(noise: tf.Tensor) -> tf.Tensor:
    """(B, 4): the jitter's operations in the order in which they act on each image.

    In float32: TensorFlow computes with int32 only on the host, which would wait for a GPU.
    """
    order = tf.minimum(noise[:, ORDER] * len(ORDERS), len(ORDERS) - 1.0)
    return tf.gather(tf.constant(ORDERS, tf.float32), tf.cast(order, tf.int32))


def affine_step(
    pixels: tf.Tensor, operation: tf.Tensor, factors: tf.Tensor, active: tf.Tensor
) -> tf.Tensor:
    """factor * colour + (1 - factor) * blend, clipped; the identity where not `active`.

    Blend is 0 for brightness, the image's mean grey for contrast, the pixel's grey for saturation.

    Args:
        pixels: (B, 3, M) float32 in 0..255.
        operation: (B,), a column of `operation_order`.
        factors: (B, 3), of brightness, contrast and saturation.
        active: (B,) bool.
    """
    column = tf.cast(tf.minimum(operation, ADJUST_SATURATION), tf.int32)  # hue has no factor
    factor = tf.gather(factors, column, batch_dims=1)  # (B,)
    factor = tf.where(active, factor, 1.0)[:, None, None]
    rest = 1.0 - factor  # (B, 1, 1)
    saturation = (operation == ADJUST_SATURATION)[:, None, None]
    contrast = (operation == ADJUST_CONTRAST)[:, None, None]
    matrix = factor * tf.eye(3) + tf.where(saturation, rest, 0.0) * to_grey()  # (B, 3, 3)
    mean_grey = tf.matmul(to_grey(), tf.reduce_mean(pixels, axis=2, keepdims=True))  # (B, 3, 1)
    pixels = tf.matmul(matrix, pixels) + tf.where(contrast, rest, 0.0) * mean_grey
    return tf.clip_by_value(pixels, 0.0, 255.0)


def shift_hue(pixels: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Rotates the HSV hue of (B, 3, M) by `shift` (B,) turns; keeps saturation and value."""
    red, green, blue = tf.unstack(pixels, axis=1)  # (B, M)
    value = tf.reduce_max(pixels, axis=1)
    chroma = value - tf.reduce_min(pixels, axis=1)
    # Hue in sixths of a turn. Grey pixels get any hue: their chroma is 0.
    is_red, is_green = value == red, value == green
    sector = tf.where(is_red, 0.0, tf.where(is_green, 2.0, 4.0))
    lead = tf.where(is_red, green - blue, tf.where(is_green, blue - red, red - green))
    sixths = sector + tf.math.divide_no_nan(lead, chroma) + 6.0 * shift[:, None]  # (B, M)
    # A channel falls from the value by 0 to 1 chroma, as a trapezium over the turn.
    position = sixths[:, None] + tf.constant([[5.0], [3.0], [1.0]])  # (B, 3, M)
    position -= 6.0 * tf.floor(position / 6.0)  # floormod takes ten times as long
    fall = tf.clip_by_value(tf.minimum(position, 4.0 - position), 0.0, 1.0)
    return value[:, None] - chroma[:, None] * fall


def to_grey() -> tf.Tensor:
    """The matrix (3, 3) that replaces all three channels of a colour by its grey."""
    return tf.tile(tf.constant([GREY_WEIGHTS]), [3, 1])


def random_grayscale(planes: tf.Tensor, noise: tf.Tensor, probability: float) -> tf.Tensor:
    """Turns images of (B, 3, S, S) grey with this probability, as their noise decides."""
    red, green, blue = tf.unstack(planes, axis=1)
    grey = GREY_WEIGHTS[0] * red + GREY_WEIGHTS[1] * green + GREY_WEIGHTS[2] * blue  # (B, S, S)
    return tf.where(noise[:, GREY, None, None, None] < probability, grey[:, None], planes)
