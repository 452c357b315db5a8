"""Decodes the run-length codes of BMP all at once: a loop over codes would be slow in a graph.

A code is a pair of bytes: the length and colour of a run, or 0 and then the end of a line (0), the
end of the image (1), a jump (2; right and up follow), or a number of colours that follow.
"""

import tensorflow as tf

from and_tf.export.decoding.byte_fields import choose, require


def decode_runs(
    values: tf.Tensor, height: tf.Tensor, width: tf.Tensor, is_rle4: tf.Tensor
) -> tf.Tensor:
    """Indices of colours (H, W) int64, 0 where the codes skip pixels.

    Args:
        values: (n,) uint8, the codes.
        height, width: scalar int64, pixels.
        is_rle4: scalar bool, whether a byte holds two colours.
    """
    values = tf.cast(values, tf.int64)
    pairs = tf.reshape(values[: tf.size(values) // 2 * 2], (-1, 2))  # (pairs, 2)
    codes = _codes(pairs, is_rle4)  # (codes,), pairs that are codes
    first, second = tf.unstack(tf.gather(pairs, codes), axis=1)
    is_escape = first == 0
    is_literal = is_escape & (second > 2)
    counts = choose(is_literal, second, first)
    jump = tf.gather(tf.concat([pairs, [[0, 0]]], axis=0), codes + 1) * [1, width]
    is_jump = is_escape & (second == 2)
    advances = counts + choose(is_jump, tf.reduce_sum(jump, axis=1), 0)
    starts = _starts(advances, is_escape & (second == 0), width)  # (codes,)

    is_whole = tf.reduce_max(starts + advances) >= height * width
    fits = tf.reduce_all((starts % width + counts <= width) | (counts == 0))
    with tf.control_dependencies(
        [require(fits, "a run beyond its line"), require(is_whole, "lines missing")]
    ):
        code = tf.repeat(tf.range(tf.size(codes)), counts)  # (pixels,)
    step = tf.range(tf.size(code, tf.int64)) - tf.gather(tf.cumsum(counts, exclusive=True), code)
    places = tf.gather(starts, code) + step
    literal = 2 * (tf.gather(codes, code) + 1) + choose(is_rle4, step // 2, step)
    literal = tf.gather(values, tf.minimum(literal, tf.size(values, tf.int64) - 1))
    found = choose(tf.gather(is_literal, code), literal, tf.gather(second, code))
    halves = choose(step % 2 == 0, found // 16, found % 16)
    found = choose(is_rle4, halves, found)
    indices = tf.scatter_nd(places[:, None], found, (height * width)[None])
    return tf.reshape(indices, (height, width))


def _codes(pairs: tf.Tensor, is_rle4: tf.Tensor) -> tf.Tensor:
    """Which pairs are codes, before the end of the image: (codes,) int64, ascending.

    Each pair determines where the next code would be if it were a code itself. The actual codes are
    reached from the first one in steps of 1, 2, 4, ... codes.
    """
    first, second = tf.unstack(pairs, axis=1)
    count = tf.size(first, tf.int64)
    in_a_pair = choose(is_rle4, 4, 2)
    literals = (second + in_a_pair - 1) // in_a_pair
    follow = choose(second > 2, literals, second == 2)
    follow = choose(first == 0, follow, 0)
    following = tf.concat([tf.range(count) + 1 + follow, [count]], axis=0)
    following = tf.minimum(following, count)  # (pairs + 1,), the last stands for the end
    is_code = tf.one_hot(0, tf.cast(count, tf.int32) + 1, dtype=tf.int32)

    def double(is_code, following, steps):
        reached = tf.gather(following, tf.where(is_code > 0)[:, 0])
        is_code = tf.tensor_scatter_nd_max(
            is_code, reached[:, None], tf.ones_like(reached, tf.int32)
        )
        return is_code, tf.gather(following, following), 2 * steps

    is_code, _, _ = tf.while_loop(
        lambda is_code, following, steps: steps <= count,
        double,
        (is_code, following, tf.constant(1, tf.int64)),
    )
    is_end = (is_code[:-1] > 0) & (first == 0) & (second == 1)
    is_before_end = tf.cumsum(tf.cast(is_end, tf.int32)) == 0
    return tf.where((is_code[:-1] > 0) & is_before_end)[:, 0]


def _starts(advances: tf.Tensor, is_line_end: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """The pixel at which each code starts, counted line after line: (codes,) int64."""
    line = tf.cumsum(tf.cast(is_line_end, tf.int64), exclusive=True)  # (codes,)
    in_line = tf.math.segment_sum(advances, line)  # (lines,)
    rows = tf.cumsum((in_line + width - 1) // width, exclusive=True)
    before_line = tf.cumsum(in_line, exclusive=True)
    before = tf.cumsum(advances, exclusive=True) - tf.gather(before_line, line)
    return tf.gather(rows, line) * width + before
