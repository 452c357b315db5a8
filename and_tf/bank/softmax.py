"""The softmax of a batch over all rows of the bank, without an array of shape (B, N)."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from and_tf.bank.rows import read_block

BANK_BLOCK = 16_384  # rows compared at once where the (B, N) logits would exceed their budget


class BankSoftmax(NamedTuple):
    """What one pass over the bank gives.

    Attributes:
        log_total: (B,) float32, logsumexp of an image's similarities to all rows.
        mean_row: (B, D) float32, mean of the rows under the softmax: the gradient of `log_total`
            with respect to the queries.
    """

    log_total: tf.Tensor
    mean_row: tf.Tensor


def softmax_over_bank(
    bank: tf.Tensor | tf.Variable, queries: tf.Tensor, block_size: int | tf.Tensor
) -> BankSoftmax:
    """One pass over the bank in blocks of rows, with a running logsumexp and mean row.

    Nothing is stored for the gradient and nothing is computed twice.

    Args:
        bank: (N, D) float32; a variable is read block by block, never as a whole.
        queries: (B, D) float32, embeddings over the temperature.
        block_size: rows compared at once, an int or a scalar int32 tensor; need not divide N.

    Reference: Dao et al., FlashAttention, NeurIPS 2022, with the rows as keys and as values.
    """
    num_rows = int(bank.shape[0])
    block_size = (tf.minimum if tf.is_tensor(block_size) else min)(block_size, num_rows)
    batch = tf.shape(queries)[0]

    def add(start, size, largest, total, weighted):
        """Adds the rows start .. start + size, relative to the largest logit so far."""
        block = read_block(bank, start, size)  # (block, D)
        logits = tf.matmul(queries, block, transpose_b=True)  # (B, block)
        new_largest = tf.maximum(largest, tf.reduce_max(logits, axis=1))  # (B,)
        weights = tf.exp(logits - new_largest[:, None])  # (B, block)
        kept = tf.exp(largest - new_largest)  # (B,)
        total = kept * total + tf.reduce_sum(weights, axis=1)  # (B,)
        weighted = kept[:, None] * weighted + tf.matmul(weights, block)  # (B, D)
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
    return BankSoftmax(largest + tf.math.log(total), weighted / total[:, None])


def rows_at_once(num_rows: int, batch_size: int | tf.Tensor, budget_mb: float) -> tf.Tensor:
    """Rows of the bank that a step compares at once with a batch: a scalar int32.

    All where their logits fit the budget, else blocks that do, of at most `BANK_BLOCK` rows: larger
    ones would not stay in a processor's cache.

    Args:
        num_rows: N.
        batch_size: B, on this replica.
        budget_mb: memory in MiB for logits in float32.
    """
    images = tf.maximum(tf.cast(batch_size, tf.int64), 1)  # a replica may be left without any
    fitting = tf.minimum(int(budget_mb * 2**18) // images, num_rows)
    fitting = tf.cast(fitting, tf.int32)
    block = tf.clip_by_value(fitting, 1, BANK_BLOCK)
    return tf.where(fitting >= num_rows, num_rows, block)
