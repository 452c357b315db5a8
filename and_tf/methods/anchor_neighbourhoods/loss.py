"""The losses of Instance and AND, written out and in blocks: pure functions of similarities."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from and_tf.bank.memory_bank import read_rows


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
    block_size: int | tf.Tensor,
) -> tf.Tensor:
    """`neighbourhood_loss` against a bank of any size, without an array of shape (B, N).

    One pass over the bank in blocks of rows, with a running logsumexp and the running mean of the
    rows under the softmax, which is the gradient: nothing is stored for it, nothing is computed
    twice (Dao et al., FlashAttention, NeurIPS 2022, with the rows as keys and as values). The
    gradient goes to the embeddings alone.

    Args:
        embeddings: (B, D) float.
        rows: (N, D) float32; a variable is read block by block, never as a whole.
        indices, neighbours, is_anchor: as in `neighbourhood_loss`.
        temperature: tau, above 0.
        block_size: rows in a block, an int or a scalar int32 tensor; need not divide N.

    Returns:
        (B,) float32, in nats.
    """
    bank = rows.value if isinstance(rows, keras.Variable) else rows
    positive_rows = tf.concat([indices[:, None], tf.cast(neighbours, indices.dtype)], axis=1)

    @tf.custom_gradient
    def loss(embeddings):
        queries = embeddings / temperature  # (B, D)
        log_total, mean_row = _softmax_over(bank, queries, block_size)  # (B,), (B, D)
        near = _gathered(bank, positive_rows)  # (B, 1+k, D)
        logits = tf.reduce_sum(queries[:, None] * near, axis=2)  # (B, 1+k)
        log_positive = _log_positive(logits[:, :1], logits[:, 1:], is_anchor)  # (B,)
        is_own = tf.range(tf.shape(logits)[1]) == 0  # (1+k,)
        shares = tf.where(is_own | is_anchor[:, None], tf.exp(logits - log_positive[:, None]), 0.0)
        mean_near = tf.reduce_sum(shares[:, :, None] * near, axis=1)  # (B, D)
        pull = (mean_row - mean_near) / temperature
        return log_total - log_positive, lambda upstream: upstream[:, None] * pull

    return loss(tf.cast(embeddings, tf.float32))


def _softmax_over(
    bank: tf.Tensor | tf.Variable, queries: tf.Tensor, block_size: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logsumexp (B,) of the similarities to all rows and the mean row (B, D) under their softmax.

    Args:
        bank: (N, D).
        queries: (B, D) float32, embeddings over the temperature.
        block_size: rows compared at once.
    """
    num_rows = int(bank.shape[0])
    block_size = (tf.minimum if tf.is_tensor(block_size) else min)(block_size, num_rows)
    batch = tf.shape(queries)[0]

    def add(start, size, largest, total, weighted):
        """Adds the rows start .. start + size, relative to the largest logit so far."""
        block = _rows_between(bank, start, size)  # (block, D)
        logits = tf.matmul(queries, block, transpose_b=True)  # (B, block)
        new_largest = tf.maximum(largest, tf.reduce_max(logits, axis=1))  # (B,)
        weights = tf.exp(logits - new_largest[:, None])  # (B, block)
        kept = tf.exp(largest - new_largest)
        total = kept * total + tf.reduce_sum(weights, axis=1)
        weighted = kept[:, None] * weighted + tf.matmul(weights, block)
        return new_largest, total, weighted

    num_blocks = num_rows // block_size
    _, *sums = tf.while_loop(
        lambda number, *_: number < num_blocks,
        lambda number, *sums: (number + 1, *add(number * block_size, block_size, *sums)),
        (0, tf.fill([batch], -np.inf), tf.zeros([batch]), tf.zeros_like(queries)),
        parallel_iterations=1,
    )
    rest = num_rows - num_blocks * block_size
    largest, total, weighted = add(num_blocks * block_size, rest, *sums)
    return largest + tf.math.log(total), weighted / total[:, None]


def _rows_between(
    bank: tf.Tensor | tf.Variable, start: int | tf.Tensor, size: int | tf.Tensor
) -> tf.Tensor:
    if isinstance(bank, tf.Variable):
        return _gathered(bank, start + tf.range(size))
    return tf.stop_gradient(tf.slice(bank, [start, 0], [size, -1]))


def _gathered(bank: tf.Tensor | tf.Variable, places: tf.Tensor) -> tf.Tensor:
    rows = read_rows(bank, places) if isinstance(bank, tf.Variable) else tf.gather(bank, places)
    return tf.stop_gradient(rows)
