"""The softmax of a batch over all rows of the bank, without an array of shape (B, N)."""

from __future__ import annotations

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

    def add(start, size, *sums):
        return SoftmaxSums(*sums).with_rows(queries, read_block(bank, start, size))

    sums = over_blocks(add, no_sums(queries), int(bank.shape[0]), block_size)
    return SoftmaxSums(*sums).softmax()


class SoftmaxSums(NamedTuple):
    """What is kept of a softmax while rows pass, relative to the largest logit so far.

    Attributes:
        largest: (B,) float32, that logit.
        total: (B,) float32, sum of the weights, exp(logit - largest).
        weighted: (B, D) float32, sum of the rows by their weights.
    """

    largest: tf.Tensor
    total: tf.Tensor
    weighted: tf.Tensor

    def with_rows(
        self, queries: tf.Tensor, rows: tf.Tensor, is_left_out: tf.Tensor | None = None
    ) -> SoftmaxSums:
        """The sums with more rows.

        Args:
            queries: (B, D) float32, embeddings over the temperature.
            rows: (n, D) float32.
            is_left_out: bool, (B, n) or of a shape that fits it, which rows do not count.
        """
        logits = tf.matmul(queries, rows, transpose_b=True)  # (B, n)
        if is_left_out is not None:
            logits = tf.where(is_left_out, LEFT_OUT, logits)
        return self.with_logits(logits, lambda weights: tf.matmul(weights, rows))

    def with_logits(
        self, logits: tf.Tensor, weigh: Callable[[tf.Tensor], tf.Tensor]
    ) -> SoftmaxSums:
        """The sums with rows of logits (B, n); `weigh` sums these rows by weights (B, n)."""
        largest = tf.maximum(self.largest, tf.reduce_max(logits, axis=1))  # (B,)
        before = self.relative_to(largest)
        weights = tf.exp(logits - largest[:, None])  # (B, n)
        return SoftmaxSums(
            largest,
            before.total + tf.reduce_sum(weights, axis=1),
            before.weighted + weigh(weights),
        )

    def relative_to(self, largest: tf.Tensor) -> SoftmaxSums:
        """The same sums relative to another logit (B,), at least as large."""
        kept = tf.exp(self.largest - largest)  # (B,)
        return SoftmaxSums(largest, kept * self.total, kept[:, None] * self.weighted)

    def softmax(self) -> BankSoftmax:
        """What `softmax_over_bank` gives of these rows."""
        return BankSoftmax(
            self.largest + tf.math.log(self.total), self.weighted / self.total[:, None]
        )


def no_sums(queries: tf.Tensor) -> SoftmaxSums:
    """Those of no rows yet, for queries (B, D)."""
    batch = tf.shape(queries)[0]
    return SoftmaxSums(tf.fill([batch], -np.inf), tf.zeros([batch]), tf.zeros_like(queries))


def over_blocks(
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
        return self.with_row(row, tf.reduce_sum(queries * row, axis=1))

    def with_row(self, row: tf.Tensor, logit: tf.Tensor) -> BankSoftmax:
        """The softmax over all rows, of the own ones (B, D) and their logits (B,)."""
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
    own = tf.cast(own, tf.int64)[:, None]  # (B, 1); with int32 a GPU would be waited for

    def add(start, size, *sums):
        is_own = tf.cast(start + tf.range(size), tf.int64) == own  # (B, block)
        return OthersSums(*sums).with_rows(queries, read_block(bank, start, size), is_own)

    sums = over_blocks(add, no_sums_of_others(queries), int(bank.shape[0]), block_size)
    return OthersSums(*sums).softmax()


class OthersSums(NamedTuple):
    """`SoftmaxSums`, with what the entropy needs; a row that is left out counts next to nothing.

    Attributes:
        largest, total, weighted: of `SoftmaxSums`.
        total_logit: (B,) float32, sum of weight x (logit - largest).
        weighted_logit: (B, D) float32, sum of the rows by these products.
    """

    largest: tf.Tensor
    total: tf.Tensor
    weighted: tf.Tensor
    total_logit: tf.Tensor
    weighted_logit: tf.Tensor

    def with_rows(self, queries: tf.Tensor, rows: tf.Tensor, is_left_out: tf.Tensor) -> OthersSums:
        """The sums with more rows; arguments of `SoftmaxSums.with_rows`."""
        logits = tf.matmul(queries, rows, transpose_b=True)  # (B, n)
        logits = tf.where(is_left_out, LEFT_OUT, logits)
        largest = tf.maximum(self.largest, tf.reduce_max(logits, axis=1))  # (B,)
        before = self.relative_to(largest)
        logits -= largest[:, None]
        weights = tf.exp(logits)  # (B, n)
        products = weights * logits
        return OthersSums(
            largest,
            before.total + tf.reduce_sum(weights, axis=1),
            before.weighted + tf.matmul(weights, rows),
            before.total_logit + tf.reduce_sum(products, axis=1),
            before.weighted_logit + tf.matmul(products, rows),
        )

    def relative_to(self, largest: tf.Tensor) -> OthersSums:
        """The same sums relative to another logit (B,), at least as large."""
        shift = self.largest - largest  # (B,)
        kept = tf.exp(shift)
        return OthersSums(
            largest,
            kept * self.total,
            kept[:, None] * self.weighted,
            kept * (self.total_logit + shift * self.total),
            kept[:, None] * (self.weighted_logit + shift[:, None] * self.weighted),
        )

    def softmax(self) -> OthersSoftmax:
        """What `softmax_over_others` gives of these rows."""
        mean_row = self.weighted / self.total[:, None]  # (B, D)
        mean_logit = self.total_logit / self.total  # (B,)
        return OthersSoftmax(
            log_total=self.largest + tf.math.log(self.total),
            mean_row=mean_row,
            entropy=tf.math.log(self.total) - mean_logit,
            entropy_gradient=mean_logit[:, None] * mean_row
            - self.weighted_logit / self.total[:, None],
        )


def no_sums_of_others(queries: tf.Tensor) -> OthersSums:
    """Those of no rows yet, for queries (B, D)."""
    batch = tf.shape(queries)[0]
    zeros, zero_rows = tf.zeros([batch]), tf.zeros_like(queries)
    return OthersSums(tf.fill([batch], LEFT_OUT), zeros, zero_rows, zeros, zero_rows)


def rows_at_once(num_rows: int, batch_size: int | tf.Tensor, budget_mb: float) -> tf.Tensor:
    """Rows of the bank that a step compares at once with a batch: a scalar int32.

    All where their logits fit the budget, else blocks that do, of at most `BANK_BLOCK` rows: larger
    ones would not stay in a processor's cache.

    Args:
        num_rows: N.
        batch_size: B, on this replica.
        budget_mb: memory in MiB for logits in float32.
    """
    with tf.device("CPU:0"):  # where a loop over blocks needs it; a GPU would be waited for
        images = tf.maximum(tf.cast(batch_size, tf.int64), 1)  # a replica may be left without any
        fitting = tf.minimum(int(budget_mb * 2**18) // images, num_rows)
        fitting = tf.cast(fitting, tf.int32)
        block = tf.clip_by_value(fitting, 1, BANK_BLOCK)
        return tf.where(fitting >= num_rows, num_rows, block)
