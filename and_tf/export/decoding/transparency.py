"""Lays transparent pixels over white."""

import tensorflow as tf


def over_white(rgba: tf.Tensor) -> tf.Tensor:
    """(H, W, 4) uint8 to (H, W, 3) uint8, rounded as by Pillow's `alpha_composite`."""
    rgba = tf.cast(rgba, tf.int32)
    color, alpha = rgba[..., :3], rgba[..., 3:]
    mixed = (color * alpha + 255 * (255 - alpha) + 128) * 128
    return tf.cast(((mixed // 256 + mixed) // 256) // 128, tf.uint8)
