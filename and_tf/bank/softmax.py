"""The softmax of a batch over all rows of the bank, without an array of shape (B, N)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from and_tf.bank.rows import gather_rows, read_block

BANK_BLOCK = 16_384  # rows compared at once where the (B, N) logits would exceed their budget
LEFT_OUT = -1e30  # a logit; not -inf, which times its weight 0 would be NaN


class BankSoftmax(NamedTuple):
    """The result of one pass over the bank.

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
    """Passes over the bank once, in blocks of rows, with a running logsumexp and mean row.

    Nothing is stored for the gradient and nothing is computed twice.

    Args:
        bank: (N, D) float32, or float16, which is cast block by block; a variable is read block by
            block, never as a whole.
        queries: (B, D) float32, embeddings over the temperature.
        block_size: rows compared at once, an int or a scalar int32 tensor; need not divide N.

    Reference: Dao et al., FlashAttention, NeurIPS 2022, with the rows as keys and as values.
    """

    def add(start, size, *sums):
        return SoftmaxSums(*sums).with_rows(queries, read_block(bank, start, size))

    sums = over_blocks(add, no_sums(queries), int(bank.shape[0]), block_size)
    return SoftmaxSums(*sums).softmax()


class SoftmaxSums(NamedTuple):
    """Running sums of a softmax over the rows seen so far, relative to their largest logit.

    Attributes:
        largest: (B,) float32, that logit.
        total: (B,) float32, sum of the weights, exp(logit - largest).
        weighted: (B, D) float32, weighted sum of the rows.
    """

    largest: tf.Tensor
    total: tf.Tensor
    weighted: tf.Tensor

    def with_rows(
        self, queries: tf.Tensor, rows: tf.Tensor, is_left_out: tf.Tensor | None = None
    ) -> SoftmaxSums:
        """The sums after adding more rows.

        Args:
            queries: (B, D) float32, embeddings over the temperature.
            rows: (n, D) float32.
            is_left_out: bool, which rows do not count: (B, n), or a shape that broadcasts to it.
        """
        logits = tf.matmul(queries, rows, transpose_b=True)  # (B, n)
        if is_left_out is not None:
            logits = tf.where(is_left_out, LEFT_OUT, logits)
        return self.with_logits(logits, lambda weights: tf.matmul(weights, rows))

    def with_logits(
        self, logits: tf.Tensor, weigh: Callable[[tf.Tensor], tf.Tensor]
    ) -> SoftmaxSums:
        """The sums after adding rows with logits (B, n).

        `weigh` returns the sum (B, D) of these rows weighted by (B, n).
        """
        largest = tf.maximum(self.largest, tf.reduce_max(logits, axis=1))  # (B,)
        before = self.relative_to(largest)
        weights = tf.exp(logits - largest[:, None])  # (B, n)
        return SoftmaxSums(
            largest,
            before.total + tf.reduce_sum(weights, axis=1),
            before.weighted + weigh(weights),
        )

    def relative_to(self, largest: tf.Tensor) -> SoftmaxSums:
        """The same sums relative to another logit (B,) that is at least as large."""
        kept = tf.exp(self.largest - largest)  # (B,)
        return SoftmaxSums(largest, kept * self.total, kept[:, None] * self.weighted)

    def softmax(self) -> BankSoftmax:
        """The result of `softmax_over_bank` for these rows."""
        return BankSoftmax(
            self.largest + tf.math.log(self.total), self.weighted / self.total[:, None]
        )


def no_sums(queries: tf.Tensor) -> SoftmaxSums:
    """The sums over no rows yet, for queries (B, D)."""
    batch = tf.shape(queries)[0]
    return SoftmaxSums(tf.fill([batch], -np.inf), tf.zeros([batch]), tf.zeros_like(queries))


def over_blocks(
    add: Callable[..., tuple], sums: tuple, num_rows: int, block_size: int | tf.Tensor
) -> Any:
    """Applies `sums = add(start, size, *sums)` to each block of rows in turn; returns `sums`."""
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
    """The result of one pass over the bank that leaves out each query's own row.

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
        """The softmax over all rows, from the same pass. Arguments as in `softmax_over_others`."""
        row = gather_rows(bank, own)  # (B, D)
        return self.with_row(row, tf.reduce_sum(queries * row, axis=1))

    def with_row(self, row: tf.Tensor, logit: tf.Tensor) -> BankSoftmax:
        """The softmax over all rows, given the own rows (B, D) and their logits (B,)."""
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

    For the entropy each query needs another accumulator of a number and a row, and hence a third
    matrix product in addition to the two of the softmax.

    Args:
        bank: as in `softmax_over_bank`.
        queries: as in `softmax_over_bank`.
        own: (B,) int, the row that each query leaves out.
        block_size: as in `softmax_over_bank`.

    Reference: Han et al., Super-AND, ECCV 2020, for the entropy.
    """
    own = tf.cast(own, tf.int64)[:, None]  # (B, 1); int32 would make the host wait for the GPU

    def add(start, size, *sums):
        is_own = tf.cast(start + tf.range(size), tf.int64) == own  # (B, block)
        return OthersSums(*sums).with_rows(queries, read_block(bank, start, size), is_own)

    sums = over_blocks(add, no_sums_of_others(queries), int(bank.shape[0]), block_size)
    return OthersSums(*sums).softmax()


class OthersSums(NamedTuple):
    """`SoftmaxSums` with what the entropy needs; the weight of a left-out row is negligible.

    Attributes:
        largest, total, weighted: of `SoftmaxSums`.
        total_logit: (B,) float32, sum of weight x (logit - largest).
        weighted_logit: (B, D) float32, sum of the rows weighted by these products.
    """

    largest: tf.Tensor
    total: tf.Tensor
    weighted: tf.Tensor
    total_logit: tf.Tensor
    weighted_logit: tf.Tensor

    def with_rows(self, queries: tf.Tensor, rows: tf.Tensor, is_left_out: tf.Tensor) -> OthersSums:
        """The sums after adding more rows; arguments as in `SoftmaxSums.with_rows`."""
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
        """The same sums relative to another logit (B,) that is at least as large."""
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
        """The result of `softmax_over_others` for these rows."""
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
    """The sums over no rows yet, for queries (B, D)."""
    batch = tf.shape(queries)[0]
    zeros, zero_rows = tf.zeros([batch]), tf.zeros_like(queries)
    return OthersSums(tf.fill([batch], LEFT_OUT), zeros, zero_rows, zeros, zero_rows)


def rows_at_once(num_rows: int, batch_size: int | tf.Tensor, budget_mb: float) -> tf.Tensor:
    """How many rows of the bank a step compares with a batch at once: a scalar int32.

    All if their logits fit the budget, otherwise a block that does, of at most `BANK_BLOCK` rows:
    larger blocks would not stay in a processor's cache.

    Args:
        num_rows: N.
        batch_size: B, on this replica.
        budget_mb: memory in MiB for logits in float32.
    """
    with tf.device("CPU:0"):  # a loop over blocks needs it there; a copy would wait for the GPU
        images = tf.maximum(tf.cast(batch_size, tf.int64), 1)  # a replica may have no images
        fitting = tf.minimum(int(budget_mb * 2**18) // images, num_rows)
        fitting = tf.cast(fitting, tf.int32)
        block = tf.clip_by_value(fitting, 1, BANK_BLOCK)
        return tf.where(fitting >= num_rows, num_rows, block)
