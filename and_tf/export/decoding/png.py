"""PNG of all colour types and bit depths."""

import tensorflow as tf

from and_tf.export.decoding.byte_fields import ByteFields
from and_tf.export.decoding.exif import find_png_chunk, png_orientation, upright
from and_tf.export.decoding.transparency import over_white

BIT_DEPTH, COLOR_TYPE = 24, 25  # positions of these bytes
GREY, ALPHA_FROM = 0, 4  # colour types; those from 4 on have an alpha channel


def decode_png(data: ByteFields) -> tf.Tensor:
    """An upright image (H, W, 3) uint8, over white."""
    image = tf.cond(
        data.number(BIT_DEPTH) == 16, lambda: _decode_16_bits(data), lambda: _decode_8_bits(data)
    )
    return upright(image, png_orientation(data))


def _decode_16_bits(data: ByteFields) -> tf.Tensor:
    values = tf.cast(tf.io.decode_png(data.encoded, channels=4, dtype=tf.uint16), tf.int32)
    # Pillow scales grey values, but takes the upper byte of others.
    is_grey = data.number(COLOR_TYPE) == GREY
    return over_white(tf.where(is_grey, (values + 128) // 257, values // 256))


def _decode_8_bits(data: ByteFields) -> tf.Tensor:
    # Not always 4 channels: without transparency TensorFlow fills alpha with 1 or 15, not 255, if
    # pixels have fewer than 8 bits.
    has_alpha = (data.number(COLOR_TYPE) >= ALPHA_FROM) | (
        find_png_chunk(data, b"tRNS") < data.size
    )
    return tf.cond(
        has_alpha,
        lambda: over_white(tf.io.decode_png(data.encoded, channels=4)),
        lambda: tf.io.decode_png(data.encoded, channels=3),
    )
