"""WebP; of an animation, the first frame.

TensorFlow's decoder overruns its buffer on animations without transparency, so it is given only
still images, into which a first frame is converted.
"""

import tensorflow as tf

from and_tf.export.decoding.byte_fields import ByteFields, part, require
from and_tf.export.decoding.exif import upright, webp_orientation
from and_tf.export.decoding.transparency import over_white

FLAGS, HAS_ALPHA, IS_ANIMATED = 20, 0x10, 0x02
FRAME_HEADER = 24  # bytes from the name of a frame's chunk to the chunks of its pixels


def decode_webp(data: ByteFields) -> tf.Tensor:
    """An upright image (H, W, 3) uint8, over white."""
    is_extended = data.holds(12, b"VP8X")
    is_animated = is_extended & (data.number(FLAGS) // IS_ANIMATED % 2 == 1)
    rgba = tf.cond(is_animated, lambda: _first_frame(data), lambda: _still(data.encoded))
    return upright(over_white(rgba), webp_orientation(data))


def _still(encoded: tf.Tensor) -> tf.Tensor:
    """(H, W, 4) uint8."""
    image = tf.raw_ops.DecodeWebP(contents=encoded, channels=0)[0]  # (H, W, 3 or 4)
    alpha = tf.fill(tf.concat([tf.shape(image)[:2], [4 - tf.shape(image)[2]]], 0), tf.uint8.max)
    return tf.ensure_shape(tf.concat([image, tf.cast(alpha, tf.uint8)], -1), (None, None, 4))


def _first_frame(data: ByteFields) -> tf.Tensor:
    """(H, W, 4) uint8, the first frame in its place on the transparent canvas."""
    width, height = 1 + data.number(24, 3), 1 + data.number(27, 3)
    frame = data.find(
        12,
        lambda position: data.holds(position, b"ANMF"),
        lambda position: position + 8 + (data.number(position + 4, 4) + 1) // 2 * 2,
    )
    with tf.control_dependencies([require(frame < data.size, "an animation without frames")]):
        left, top = 2 * data.number(frame + 8, 3), 2 * data.number(frame + 11, 3)
        pixels = _still(_as_still(data, frame))
    size = tf.cast(tf.shape(pixels), tf.int64)
    margins = [[top, height - top - size[0]], [left, width - left - size[1]], [0, 0]]
    return tf.pad(pixels, margins)


def _as_still(data: ByteFields, frame: tf.Tensor) -> tf.Tensor:
    """The bytes of a still image made of the chunks of a frame."""
    chunks = frame + FRAME_HEADER
    end = frame + 8 + data.number(frame + 4, 4)
    size = part(data.encoded, frame + 14, frame + 20)  # of the frame; the canvas may be larger
    flags = tf.where(data.holds(chunks, b"ALPH"), bytes([HAS_ALPHA]), b"\0")
    extended = tf.strings.join([b"VP8X\x0a\0\0\0", flags, b"\0\0\0", size])
    content = tf.strings.join([b"WEBP", extended, part(data.encoded, chunks, end)])
    length = tf.strings.length(content) // tf.constant([1, 256, 65536, 256**3]) % 256
    table = tf.constant([bytes([value]) for value in range(256)])
    return tf.strings.join([b"RIFF", tf.strings.reduce_join(tf.gather(table, length)), content])
