"""JPEG, decoded smaller if a small image is needed, as Pillow's `draft` does."""

import functools

import tensorflow as tf

from and_tf.export.decoding.byte_fields import ByteFields
from and_tf.export.decoding.exif import jpeg_orientation, upright


def decode_jpeg(data: ByteFields, side: int) -> tf.Tensor:
    """An upright image (H, W, 3) uint8, no smaller than twice `side` unless the file is."""
    shorter = tf.reduce_min(tf.io.extract_jpeg_shape(data.encoded)[:2])
    reduction = tf.reduce_sum(tf.cast(shorter >= 2 * side * tf.constant([2, 4, 8]), tf.int32))
    decoders = [functools.partial(_decode, data.encoded, ratio) for ratio in (1, 2, 4, 8)]
    return upright(tf.switch_case(reduction, decoders), jpeg_orientation(data))


def _decode(encoded: tf.Tensor, ratio: int) -> tf.Tensor:
    # Not try_recover_truncated: it accepts files that lack most of their pixels.
    return tf.io.decode_jpeg(encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")
