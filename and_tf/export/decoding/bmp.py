"""BMP with and without palette, run-length encoded or not; TensorFlow itself reads only a few."""

from typing import NamedTuple

import tensorflow as tf

from and_tf.export.decoding.bmp_runs import decode_runs
from and_tf.export.decoding.byte_fields import ByteFields, choose, require
from and_tf.export.decoding.transparency import over_white

PLAIN, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3
FILE_HEADER = 14  # bytes; the header of the image follows
CORE_HEADER = 12  # bytes, of OS/2
HEADERS = [CORE_HEADER, 40, 52, 56, 64, 108, 124]
MASKS = 54  # position of the masks of red, green, blue and alpha, 4 bytes each

RGB_32 = [0xFF0000, 0xFF00, 0xFF, 0]
RGB_16 = [0x7C00, 0x3E0, 0x1F, 0]
KNOWN_MASKS = [  # those that Pillow knows
    RGB_32, RGB_16, [0xF800, 0x7E0, 0x1F, 0],
    [0xFF000000, 0xFF0000, 0xFF00, 0], [0xFF000000, 0xFF00, 0xFF, 0],
    [0xFF000000, 0xFF0000, 0xFF00, 0xFF], [0xFF, 0xFF00, 0xFF0000, 0xFF000000],
    [0xFF0000, 0xFF00, 0xFF, 0xFF000000], [0xFF000000, 0xFF00, 0xFF, 0xFF0000],
]  # fmt: skip


class Header(NamedTuple):
    """The fields of a BMP as scalar int64 tensors, except for `is_top_down`, bool."""

    size: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    is_top_down: tf.Tensor
    bits: tf.Tensor
    compression: tf.Tensor
    num_colors: tf.Tensor
    color_bytes: tf.Tensor
    pixels: tf.Tensor


def decode_bmp(data: ByteFields) -> tf.Tensor:
    """The image (H, W, 3) uint8, over white."""
    header = _read_header(data)
    image = tf.cond(
        header.bits <= 8,
        lambda: tf.gather(_palette(data, header), _indices(data, header)),
        lambda: _colors(data, header),
    )
    return tf.cond(header.is_top_down, lambda: image, lambda: tf.reverse(image, [0]))


def _read_header(data: ByteFields) -> Header:
    size = data.number(FILE_HEADER, 4)
    is_core = size == CORE_HEADER

    def field(place, num_bytes, core_place=None, otherwise=0):
        core = otherwise if core_place is None else data.number(core_place, 2)
        return choose(is_core, core, data.number(place, num_bytes))

    height, bits, colors = field(22, 4, 20), field(28, 2, 24), field(46, 4)
    is_top_down = ~is_core & (data.number(25) == 255)
    height = choose(is_top_down, 2**32 - height, height)
    num_colors = choose(colors > 0, colors, tf.bitwise.left_shift(tf.ones_like(bits), bits % 32))
    color_bytes = choose(is_core, 3, 4)
    start = data.number(10, 4)
    is_missing = (start == FILE_HEADER + size) & (bits <= 8)  # `start` does not count the palette
    start += choose(is_missing, num_colors * color_bytes, 0)
    known = tf.reduce_any(size == HEADERS) & (start >= FILE_HEADER + size)
    with tf.control_dependencies([require(known, "a BMP of an unknown kind")]):
        return Header(
            tf.identity(size), field(18, 4, 18), height, is_top_down, bits, field(30, 4),
            num_colors, color_bytes, start,
        )  # fmt: skip


def _palette(data: ByteFields, header: Header) -> tf.Tensor:
    """(colors, 3) uint8."""
    start = FILE_HEADER + header.size
    end = start + header.num_colors * header.color_bytes
    return tf.reshape(data.values[start:end], (-1, header.color_bytes))[:, 2::-1]


def _indices(data: ByteFields, header: Header) -> tf.Tensor:
    """(H, W) int64, indices of colours."""
    is_rle4 = header.compression == RLE4
    is_runs = is_rle4 | (header.compression == RLE8)
    known = tf.reduce_any(header.bits == [1, 4, 8]) & (is_runs | (header.compression == PLAIN))
    with tf.control_dependencies([require(known, "a palette of an unknown kind")]):
        return tf.cond(
            is_runs,
            lambda: decode_runs(data.values[header.pixels :], header.height, header.width, is_rle4),
            lambda: _packed_indices(_rows(data, header), header),
        )


def _packed_indices(rows: tf.Tensor, header: Header) -> tf.Tensor:
    shifts = tf.range(8 - header.bits, -1, -header.bits)  # (indices in a byte,)
    indices = tf.bitwise.right_shift(tf.cast(rows, tf.int64)[..., None], shifts)
    indices %= tf.bitwise.left_shift(tf.ones_like(header.bits), header.bits)
    return tf.reshape(indices, (header.height, -1))[:, : header.width]


def _rows(data: ByteFields, header: Header) -> tf.Tensor:
    """(H, bytes of a row) uint8; rows are padded to 4 bytes."""
    row_bytes = (header.width * header.bits + 31) // 32 * 4
    end = header.pixels + header.height * row_bytes
    return tf.reshape(data.values[header.pixels : end], (header.height, row_bytes))


def _colors(data: ByteFields, header: Header) -> tf.Tensor:
    """(H, W, 3) uint8, from pixels of 16, 24 or 32 bits."""
    masks = _masks(data, header)  # (4,)
    num_bytes = header.bits // 8
    rows = tf.cast(_rows(data, header)[:, : header.width * num_bytes], tf.int64)
    parts = tf.reshape(rows, (header.height, header.width, num_bytes))
    shifts = 8 * tf.range(num_bytes, dtype=tf.int64)
    pixels = tf.reduce_sum(tf.bitwise.left_shift(parts, shifts), axis=-1)[..., None]  # (H, W, 1)
    lowest = tf.maximum(tf.bitwise.bitwise_and(masks, -masks), 1)
    largest = tf.maximum(masks // lowest, 1)
    values = tf.bitwise.bitwise_and(pixels, masks) // lowest * 255 // largest  # (H, W, 4)
    return over_white(choose(masks == 0, 255, values))


def _masks(data: ByteFields, header: Header) -> tf.Tensor:
    """(4,) int64, the masks of red, green, blue and alpha in a pixel; 0 for no alpha."""
    found = data.number(MASKS + 4 * tf.range(4, dtype=tf.int64), 4)
    has_alpha = (header.size >= 56) & (header.bits == 32)
    found = tf.concat([found[:3], choose(has_alpha, found[3:], 0)], axis=0)
    is_zero = tf.reduce_all(found == 0)  # Pillow reads these as blue, green, red and alpha
    found = choose(is_zero, tf.constant(KNOWN_MASKS[7], tf.int64), found)
    is_known = tf.reduce_any(tf.reduce_all(found == tf.constant(KNOWN_MASKS, tf.int64), axis=1))
    is_bitfields = header.compression == BITFIELDS
    is_plain = header.compression == PLAIN
    known = tf.reduce_any(header.bits == [16, 24, 32]) & (is_plain | (is_bitfields & is_known))
    default = choose(header.bits == 16, tf.constant(RGB_16, tf.int64), RGB_32)
    with tf.control_dependencies([require(known, "colours of an unknown kind")]):
        return choose(is_bitfields, found, default)
