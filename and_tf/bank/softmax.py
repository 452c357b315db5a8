"""The softmax of a batch over all rows of the bank, without an array of shape (B, N)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from and_tf.bank.rows import gather_rows, read_block

BANK_BLOCK = 16_384  # rows compared at once where the (B, N) logits would exceed their budget
LEFT_OUT = -1e30  # as a logit: finite, for an infinite one times its weight 0 would be NaN


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
        bank: (N, D) float32, or float16, which is widened block by block; a variable is read block
            by block, never as a whole.
        queries: (B, D) float32, embeddings over the temperature.
        block_size: rows compared at once, an int or a scalar int32 tensor; need not divide N.

    Reference: Dao et al., FlashAttention, NeurIPS 2022, with the rows as keys and as values.
    """
    batch = tf.shape(queries)[0]

    def add(start, size, largest, total, weighted):
        """Adds the rows start .. start + size, relative to the largest logit so far."""
        block = read_block(bank, start, size)  # (block, D)
        logits = tf.matmul(queries, block, transpose_b=True)  # (B, block)
        logits, shift, largest = _relative(logits, largest)
        weights, kept = tf.exp(logits), tf.exp(shift)  # (B, block), (B,)
        return largest, *_added(total, weighted, kept, weights, block)

    start = (tf.fill([batch], -np.inf), tf.zeros([batch]), tf.zeros_like(queries))
    largest, total, weighted = _over_blocks(add, start, int(bank.shape[0]), block_size)
    return BankSoftmax(largest + tf.math.log(total), weighted / total[:, None])


def _relative(logits: tf.Tensor, largest: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Logits (B, block) less the largest so far, what that rose by (B,), negative, and itself."""
    new_largest = tf.maximum(largest, tf.reduce_max(logits, axis=1))  # (B,)
    return logits - new_largest[:, None], largest - new_largest, new_largest


def _added(
    total: tf.Tensor, weighted: tf.Tensor, kept: tf.Tensor, weights: tf.Tensor, block: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """`kept` (B,) of the sums (B,) and (B, D) so far, and the rows of a block by their weights."""
    total = kept * total + tf.reduce_sum(weights, axis=1)  # (B,)
    return total, kept[:, None] * weighted + tf.matmul(weights, block)


def _over_blocks(
    add: Callable[..., tuple], sums: tuple, num_rows: int, block_size: int | tf.Tensor
) -> Any:
    """`sums` after `add(start, size, *sums)` of one block of rows after the other."""
    block_size = (tf.minimum if tf.is_tensor(block_size) else min)(block_size, num_rows)
    num_blocks = num_rows // block_size
    _, *sums = tf.while_loop(
        lambda number, *_: number < num_blocks,
        lambda number, *sums: (number + 1, *add(number * block_size, block_size, *sums)),
        (0, *sums),
        parallel_iterations=1,
    )
    rest = num_rows - num_blocks * block_size
    return add(num_blocks * block_size, rest, *sums)


class OthersSoftmax(NamedTuple):
    """What one pass over the bank gives where each query's own row is left out.

    Attributes:
        log_total: (B,) float32, logsumexp of an image's similarities to all rows but its own.
        mean_row: (B, D) float32, mean of those rows under their softmax.
        entropy: (B,) float32 in nats, of that softmax.
        entropy_gradient: (B, D) float32, of the entropy with respect to the queries.
    """

    log_total: tf.Tensor
    mean_row: tf.Tensor
    entropy: tf.Tensor
    entropy_gradient: tf.Tensor

    def with_own_row(
        self, bank: tf.Tensor | tf.Variable, queries: tf.Tensor, own: tf.Tensor
    ) -> BankSoftmax:
        """The softmax over all rows, from the same pass. Arguments of `softmax_over_others`."""
        row = gather_rows(bank, own)  # (B, D)
        logit = tf.reduce_sum(queries * row, axis=1)  # (B,)
        log_total = tf.maximum(logit, self.log_total) + tf.math.log1p(
            tf.exp(-tf.abs(logit - self.log_total))
        )
        probability = tf.exp(logit - log_total)[:, None]  # (B, 1)
        others = tf.exp(self.log_total - log_total)[:, None]  # (B, 1)
        return BankSoftmax(log_total, probability * row + others * self.mean_row)


def softmax_over_others(
    bank: tf.Tensor | tf.Variable,
    queries: tf.Tensor,
    own: tf.Tensor,
    block_size: int | tf.Tensor,
) -> OthersSoftmax:
    """`softmax_over_bank` without each query's own row, with the entropy and its gradient.

    The entropy takes one more accumulator of a number and a row for each query, and so a third
    matrix product beside the two of the softmax.

    Args:
        bank: as in `softmax_over_bank`.
        queries: as in `softmax_over_bank`.
        own: (B,) int, the row that each query leaves out.
        block_size: as in `softmax_over_bank`.

    Reference: Han et al., Super-AND, ECCV 2020, for the entropy.
    """
    batch = tf.shape(queries)[0]
    own = tf.cast(own, tf.int32)

    def add(start, size, largest, total, weighted, total_logit, weighted_logit):
        """Adds the rows start .. start + size; all logits are relative to the largest so far."""
        block = read_block(bank, start, size)  # (block, D)
        logits = tf.matmul(queries, block, transpose_b=True)  # (B, block)
        is_own = start + tf.range(size) == own[:, None]  # (B, block)
        logits = tf.where(is_own, LEFT_OUT, logits)
        logits, shift, largest = _relative(logits, largest)
        weights, kept = tf.exp(logits), tf.exp(shift)  # (B, block), (B,)
        total_logit += shift * total
        weighted_logit += shift[:, None] * weighted
        return (
            largest,
            *_added(total, weighted, kept, weights, block),
            *_added(total_logit, weighted_logit, kept, weights * logits, block),
        )

    zeros, zero_rows = tf.zeros([batch]), tf.zeros_like(queries)
    start = (tf.fill([batch], LEFT_OUT), zeros, zero_rows, zeros, zero_rows)
    largest, total, weighted, total_logit, weighted_logit = _over_blocks(
        add, start, int(bank.shape[0]), block_size
    )
    mean_row, mean_logit = weighted / total[:, None], total_logit / total  # (B, D), (B,)
    return OthersSoftmax(
        log_total=largest + tf.math.log(total),
        mean_row=mean_row,
        entropy=tf.math.log(total) - mean_logit,
        entropy_gradient=mean_logit[:, None] * mean_row - weighted_logit / total[:, None],
    )


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
