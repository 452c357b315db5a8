"""The orientation of a photo, from its EXIF or XMP metadata, and its effect on the pixels."""

import tensorflow as tf

from and_tf.export.decoding.byte_fields import ByteFields, choose

ORIENTATION = 0x0112
MAX_ENTRIES = 4096  # of a directory; corrupt metadata may claim any number
TAGGED = "tiff:Orientation"  # in XMP; ="6" or >6< follows


def jpeg_orientation(data: ByteFields) -> tf.Tensor:
    """Orientation of a JPEG: scalar int64, 0 if there is none."""

    def is_wanted(position):
        return data.holds(position, b"\xff\xe1") & data.holds(position + 4, b"Exif\0\0")

    def next_position(position):
        is_segment = data.holds(position, b"\xff") & ~data.holds(position, b"\xff\xda")
        is_fill = data.holds(position + 1, b"\xff")
        length = choose(is_fill, 1, 2 + data.number(position + 2, 2, big_endian=True))
        return choose(is_segment, position + length, data.size)  # pixels follow

    return _orientation(data, data.find(2, is_wanted, next_position) + 4)


def png_orientation(data: ByteFields) -> tf.Tensor:
    """Orientation of a PNG: scalar int64, 0 if there is none."""
    return _orientation(data, find_png_chunk(data, b"eXIf") + 8)


def find_png_chunk(data: ByteFields, name: bytes) -> tf.Tensor:
    """Position of a chunk of a PNG, scalar int64; beyond the end if there is none."""
    return data.find(
        8,
        lambda position: data.holds(position + 4, name),
        lambda position: position + 12 + data.number(position, 4, big_endian=True),
    )


def webp_orientation(data: ByteFields) -> tf.Tensor:
    """Orientation of a WebP: scalar int64, 0 if there is none."""

    def next_position(position):
        size = data.number(position + 4, 4)
        return position + 8 + size + size % 2

    chunk = data.find(12, lambda position: data.holds(position, b"EXIF"), next_position)
    return _orientation(data, chunk + 8)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Rotates and mirrors an image (H, W, C) by an orientation; unchanged unless in 2..8."""

    def one_of(*orientations):
        return tf.reduce_any(orientation == tf.constant(orientations, tf.int64))

    image = tf.cond(one_of(5, 6, 7, 8), lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(one_of(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(one_of(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image)


def _orientation(data: ByteFields, start: tf.Tensor) -> tf.Tensor:
    """The orientation in the TIFF header at `start`, with or without "Exif" before, else in XMP."""
    start = choose(data.holds(start, b"Exif\0\0"), start + 6, start)
    big_endian = data.holds(start, b"MM")
    is_tiff = big_endian | data.holds(start, b"II")
    directory = start + data.number(start + 4, 4, big_endian)
    count = tf.minimum(data.number(directory, 2, big_endian), MAX_ENTRIES)
    entries = directory + 2 + 12 * tf.range(choose(is_tiff, count, 0))  # (entries,)
    entries = entries[data.number(entries, 2, big_endian) == ORIENTATION]
    entry = tf.concat([[data.size], entries], axis=0)[-1]
    is_long = data.number(entry + 2, 2, big_endian) == 4
    short, long = (data.number(entry + 8, size, big_endian) for size in (2, 4))
    found = choose(is_long, long, short)  # 0 where there is no entry
    return tf.cond(tf.size(entries) > 0, lambda: found, lambda: _xmp_orientation(data))


def _xmp_orientation(data: ByteFields) -> tf.Tensor:
    parts = tf.strings.split(data.encoded, TAGGED)  # (1 + number of times,)
    behind = tf.concat([parts, [""]], axis=0)[1] + "   "
    is_element = tf.strings.substr(behind, 0, 1) == ">"
    digit = tf.strings.substr(behind, tf.where(is_element, 1, 2), 1)
    digits = [str(number) for number in range(10)]
    return tf.reduce_sum(choose(digit == digits, tf.range(10), 0))
