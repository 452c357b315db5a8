"""A batch of image files as squares of the encoder's size."""

import functools
from collections.abc import Callable

import tensorflow as tf

from and_tf.export.decoding.bmp import decode_bmp
from and_tf.export.decoding.byte_fields import ByteFields, require
from and_tf.export.decoding.gif import decode_gif
from and_tf.export.decoding.jpeg import decode_jpeg
from and_tf.export.decoding.png import decode_png
from and_tf.export.decoding.webp import decode_webp
from and_tf.export.preprocessing import resize_and_crop


def decode_squares(encoded: tf.Tensor, side: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the files that can be decoded, in threads.

    Args:
        encoded: (B,) string tensor, the bytes of image files.
        side: of the result in pixels.

    Returns:
        (B, side, side, 3) uint8, zeros where a file cannot be decoded, and (B,) bool, which files
        were decoded.
    """
    count = tf.size(encoded, tf.int64)
    decode = _traced_decode_square(side)
    files = tf.data.Dataset.from_tensor_slices(encoded).enumerate()
    found = files.map(
        lambda row, file: (row, decode(file)), num_parallel_calls=tf.data.AUTOTUNE
    ).ignore_errors()
    # One more row, so that there is at least one if nothing can be decoded.
    below = tf.data.Dataset.from_tensors((count, tf.zeros((side, side, 3), tf.uint8)))
    rows, squares = found.concatenate(below).batch(count + 1).get_single_element()
    places = tf.scatter_nd(rows[:, None], tf.range(1, tf.size(rows) + 1), [count + 1])[:count]
    is_decoded = places > 0  # (B,)
    squares = tf.concat([tf.zeros((1, side, side, 3), tf.uint8), squares], axis=0)
    return tf.gather(squares, places), is_decoded


@functools.cache
def _traced_decode_square(side: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """`decode_square` as a graph that all exports share, because tracing it takes a second."""
    with tf.init_scope():
        decode = tf.function(functools.partial(decode_square, side=side), autograph=False)
        return decode.get_concrete_function(tf.TensorSpec((), tf.string, name="encoded"))


def decode_square(encoded: tf.Tensor, side: int) -> tf.Tensor:
    """Decodes one file as `data.decode.load_square` does, within 2 of 255.

    Raises:
        InvalidArgumentError: when it runs on a file that cannot be decoded, or not to these pixels.
    """
    data = ByteFields(encoded)
    kinds = {
        b"\xff\xd8\xff": functools.partial(decode_jpeg, data, side),
        b"\x89PNG\r\n\x1a\n": functools.partial(decode_png, data),
        b"RIFF": functools.partial(decode_webp, data),
        b"GIF8": functools.partial(decode_gif, data),
        b"BM": functools.partial(decode_bmp, data),
    }
    is_kind = tf.stack([data.holds(0, start) for start in kinds])
    with tf.control_dependencies([require(tf.reduce_any(is_kind), "a file of no known kind")]):
        kind = tf.argmax(is_kind, output_type=tf.int32)
    image = tf.switch_case(kind, list(kinds.values()))
    return resize_and_crop(tf.ensure_shape(image, (None, None, 3)), side)
