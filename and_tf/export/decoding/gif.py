"""GIF: the first frame.

TensorFlow's decoder makes transparent pixels black, so their colour is replaced by white in the
file's colour table.
"""

import tensorflow as tf

from and_tf.export.decoding.byte_fields import ByteFields, choose, part, require

HEADER = 13  # bytes before the global colour table
WHITE = b"\xff\xff\xff"


def decode_gif(data: ByteFields) -> tf.Tensor:
    """The first frame (H, W, 3) uint8, over white."""
    control, image = _first_frame(data)
    table_flags = data.number(image + 9)
    has_table = table_flags >= 128
    pixels = image + 10 + choose(has_table, _table_bytes(table_flags), 0)
    end = _end_of_blocks(data, pixels + 1)
    covers = tf.reduce_all(
        tf.stack([data.number(image + place, 2) for place in (1, 3, 5, 7)])
        == tf.stack([0, 0, data.number(6, 2), data.number(8, 2)])
    )
    transparent = data.number(control + 6)
    is_transparent = (control > 0) & (data.number(control + 3) % 2 == 1)
    color = choose(has_table, image + 10, HEADER) + 3 * transparent
    head = part(data.encoded, 0, HEADER)
    tables = part(data.encoded, HEADER, _end_of_table(data))
    frame = part(data.encoded, image, end)
    changed = [
        tf.where(is_transparent & ~has_table, _with_white(tables, color - HEADER), tables),
        tf.where(is_transparent & has_table, _with_white(frame, color - image), frame),
    ]
    # Without the control block there are no transparent pixels; without others, no animation.
    still = tf.strings.join([head, *changed, b";"])
    with tf.control_dependencies([require(covers, "a first frame smaller than its canvas")]):
        return tf.io.decode_gif(still)[0]


def _first_frame(data: ByteFields) -> tuple[tf.Tensor, tf.Tensor]:
    """Positions of the last control block before the first image (0 if none), and of the image."""

    def step(control, position):
        control = choose(data.holds(position, b"\x21\xf9"), position, control)
        return control, _end_of_blocks(data, position + 2)

    control, image = tf.while_loop(
        lambda control, position: data.holds(position, b"\x21"),
        step,
        (tf.constant(0, tf.int64), _end_of_table(data)),
    )
    with tf.control_dependencies([require(data.holds(image, b"\x2c"), "no image")]):
        return tf.identity(control), tf.identity(image)


def _end_of_table(data: ByteFields) -> tf.Tensor:
    flags = data.number(10)
    return HEADER + choose(flags >= 128, _table_bytes(flags), 0)


def _table_bytes(flags: tf.Tensor) -> tf.Tensor:
    return 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8)


def _end_of_blocks(data: ByteFields, start: tf.Tensor) -> tf.Tensor:
    """Position after the empty block that ends a chain of blocks."""
    return 1 + data.find(
        start,
        lambda position: data.number(position) == 0,
        lambda position: position + 1 + data.number(position),
    )


def _with_white(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """The bytes with white at a position, which may be out of range if the result is not used."""
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    position = tf.clip_by_value(position, 0, length)
    behind = part(encoded, tf.minimum(position + 3, length), length)
    return tf.strings.join([part(encoded, 0, position), WHITE, behind])
