"""The losses of Instance and AND, written out and in blocks: pure functions of similarities."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from and_tf.memory_bank import read_rows


def neighbourhood_loss(
    logits: tf.Tensor, indices: tf.Tensor, neighbours: tf.Tensor, is_anchor: tf.Tensor
) -> tf.Tensor:
    """Negative log-probability of landing in an image's own neighbourhood.

    Args:
        logits: (B, N) float32, similarities to every bank row over the temperature.
        indices: (B,) int, bank row of each image.
        neighbours: (B, k) int, rows of the discovered neighbours; ignored where `is_anchor` is
            False.
        is_anchor: (B,) bool.

    Returns:
        (B,) float32, in nats.

    Reference: Huang et al., ICML 2019, eq. 6 and 7.
    """
    logits, indices, neighbours, is_anchor = (
        ops.convert_to_tensor(x) for x in (logits, indices, neighbours, is_anchor)
    )
    own = ops.take_along_axis(logits, indices[:, None], axis=1)  # (B, 1)
    others = ops.take_along_axis(logits, neighbours, axis=1)  # (B, k)
    positive = _log_positive(own, others, is_anchor)  # (B,)
    return ops.logsumexp(logits, axis=1) - positive


def _log_positive(own: tf.Tensor, others: tf.Tensor, is_anchor: tf.Tensor) -> tf.Tensor:
    """Logsumexp over the own row and, for anchors, the neighbours: (B, 1), (B, k) to (B,)."""
    others = ops.where(is_anchor[:, None], others, -np.inf)  # instances stand alone
    return ops.logsumexp(ops.concatenate([own, others], axis=1), axis=1)


def bank_loss(
    embeddings: tf.Tensor,
    rows: tf.Tensor | tf.Variable | keras.Variable,
    indices: tf.Tensor,
    neighbours: tf.Tensor,
    is_anchor: tf.Tensor,
    temperature: float,
    block_size: int,
) -> tf.Tensor:
    """`neighbourhood_loss` against a bank of any size, without an array of shape (B, N).

    The sum over the bank runs in blocks of rows with a running logsumexp. The gradient goes to the
    embeddings alone and computes each block's similarities again instead of keeping them.

    Args:
        embeddings: (B, D) float.
        rows: (N, D) float32; a variable is read block by block, never as a whole.
        indices, neighbours, is_anchor: as in `neighbourhood_loss`.
        temperature: tau, above 0.
        block_size: rows in a block; need not divide N.

    Returns:
        (B,) float32, in nats.
    """
    bank = rows.value if isinstance(rows, keras.Variable) else rows
    num_rows = int(bank.shape[0])
    block_size = min(int(block_size), num_rows)
    num_blocks = -(-num_rows // block_size)
    positive_rows = tf.concat([indices[:, None], tf.cast(neighbours, indices.dtype)], axis=1)

    def block(number):
        """Rows of a block and which of them no earlier block held (the last block overlaps)."""
        wanted = number * block_size
        places = tf.minimum(wanted, num_rows - block_size) + tf.range(block_size)
        return _read(bank, places), places >= wanted

    def block_logits(queries, number):
        block_rows, is_new = block(number)
        logits = tf.matmul(queries, block_rows, transpose_b=True) / temperature  # (B, block)
        return tf.where(is_new, logits, -np.inf), block_rows

    @tf.custom_gradient
    def loss(queries):
        def add_block(number, largest, total):
            logits, _ = block_logits(queries, number)
            new_largest = tf.maximum(largest, tf.reduce_max(logits, axis=1))
            kept = total * tf.exp(largest - new_largest)
            added = tf.reduce_sum(tf.exp(logits - new_largest[:, None]), axis=1)
            return number + 1, new_largest, kept + added

        batch = tf.shape(queries)[0]
        start = (0, tf.fill([batch], -np.inf), tf.zeros([batch]))
        _, largest, total = _loop(num_blocks, add_block, start)
        log_total = largest + tf.math.log(total)  # (B,)
        near = _read(bank, positive_rows)  # (B, 1+k, D)
        logits = tf.einsum("bd,bpd->bp", queries, near) / temperature
        log_positive = _log_positive(logits[:, :1], logits[:, 1:], is_anchor)

        def gradient(upstream):
            def add_block_gradient(number, pull):
                logits, block_rows = block_logits(queries, number)
                shares = tf.exp(logits - log_total[:, None])  # p_ij
                return number + 1, pull + tf.matmul(shares, block_rows)

            start = (0, tf.zeros_like(queries))
            _, pull = _loop(num_blocks, add_block_gradient, start)  # (B, D)
            is_positive = tf.concat(
                [
                    tf.ones_like(is_anchor)[:, None],
                    tf.repeat(is_anchor[:, None], logits.shape[1] - 1, 1),
                ],
                axis=1,
            )
            shares = tf.where(is_positive, tf.exp(logits - log_positive[:, None]), 0.0)
            pull -= tf.einsum("bp,bpd->bd", shares, near)
            return upstream[:, None] * pull / temperature

        return log_total - log_positive, gradient

    return loss(tf.cast(embeddings, tf.float32))


def _read(bank: tf.Tensor | tf.Variable, places: tf.Tensor) -> tf.Tensor:
    rows = read_rows(bank, places) if isinstance(bank, tf.Variable) else tf.gather(bank, places)
    return tf.stop_gradient(tf.cast(rows, tf.float32))


def _loop(num_blocks: int, body, start: tuple) -> tuple:
    return tf.while_loop(lambda number, *_: number < num_blocks, body, start, parallel_iterations=1)
