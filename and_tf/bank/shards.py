"""The softmax over a bank whose rows are split over replicas: row i is on replica i mod R.

Each replica takes the queries of the whole batch and sums over its own rows. Two collectives, one
for the largest logits and one for everything else, combine the sums. Their size depends on batch
size and width, not on the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from and_tf.bank.rows import gather_rows, read_block
from and_tf.bank.softmax import (
    LEFT_OUT,
    OthersSums,
    SoftmaxSums,
    no_sums,
    no_sums_of_others,
    over_blocks,
)


class Replicas(Protocol):
    """Reductions over replicas; all must make the same calls in the same order."""

    def maximum(self, value: tf.Tensor) -> tf.Tensor:
        """The maximum of each element over all replicas."""

    def total(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Each value, summed over all replicas."""


def shard_size(num_rows: int, num_shards: int) -> int:
    """Rows of a shard; in a shard with one row fewer, the last is padding."""
    return -(-num_rows // num_shards)


class Shard(NamedTuple):
    """The rows of a bank that one replica keeps.

    Attributes:
        rows: (`shard_size`, D) float32 or float16, a variable or a tensor: row j of it is row
            j R + r of the bank. Where R does not divide N, the last row of some shards is padding;
            it may hold any finite values.
        number: r, an int or a scalar int32 tensor.
        num_shards: R.
        num_rows: N, of the whole bank.
    """

    rows: tf.Tensor | tf.Variable
    number: int | tf.Tensor
    num_shards: int
    num_rows: int

    def has(self, indices: tf.Tensor) -> tf.Tensor:
        """Whether the bank's rows at `indices`, of any shape, are here: bool of that shape."""
        return indices % self.num_shards == tf.cast(self.number, indices.dtype)

    def places(self, indices: tf.Tensor) -> tf.Tensor:
        """Their positions in `rows`; meaningless for rows that are not here."""
        return indices // self.num_shards


def sums_over_shard(shard: Shard, queries: tf.Tensor, block_size: int | tf.Tensor) -> SoftmaxSums:
    """The sums of the softmax over the rows of one shard.

    Args:
        shard: this replica's.
        queries: (B, D) float32, embeddings over the temperature, of all replicas.
        block_size: rows compared at once, as in `softmax_over_bank`.
    """
    on_all, has_more = _rows_on_all(shard)

    def add(start, size, *sums):
        return SoftmaxSums(*sums).with_rows(queries, read_block(shard.rows, start, size))

    sums = no_sums(queries)
    if on_all:
        sums = SoftmaxSums(*over_blocks(add, sums, on_all, block_size))
    if has_more is not None:
        last = read_block(shard.rows, on_all, 1)  # (1, D)
        sums = sums.with_rows(queries, last, tf.logical_not(has_more))
    return sums


def sums_over_others(
    shard: Shard, queries: tf.Tensor, own: tf.Tensor, block_size: int | tf.Tensor
) -> OthersSums:
    """`sums_over_shard` without each query's own row, with the sums that the entropy needs.

    Args:
        shard, queries, block_size: as in `sums_over_shard`.
        own: (B,) int, row of the bank that each query leaves out.
    """
    on_all, has_more = _rows_on_all(shard)
    own = tf.cast(own, tf.int64)  # int32 would make the host wait for the GPU
    own = tf.where(shard.has(own), shard.places(own), -1)[:, None]  # (B, 1)

    def add(start, size, *sums):
        is_own = tf.cast(start + tf.range(size), tf.int64) == own  # (B, block)
        return OthersSums(*sums).with_rows(queries, read_block(shard.rows, start, size), is_own)

    sums = no_sums_of_others(queries)
    if on_all:
        sums = OthersSums(*over_blocks(add, sums, on_all, block_size))
    if has_more is not None:
        is_left_out = tf.logical_or(own == on_all, tf.logical_not(has_more))  # (B, 1)
        sums = sums.with_rows(queries, read_block(shard.rows, on_all, 1), is_left_out)
    return sums


def _rows_on_all(shard: Shard) -> tuple[int, tf.Tensor | None]:
    """The number of rows that every shard has, and whether this one has one more.

    The latter is None if R divides N.
    """
    on_all, more = divmod(shard.num_rows, shard.num_shards)
    return on_all, tf.less(shard.number, more) if more else None


def sums_over_chosen(
    shard: Shard, queries: tf.Tensor, chosen: tf.Tensor, is_counted: tf.Tensor
) -> SoftmaxSums:
    """The sums over a few rows chosen for each query, restricted to this shard.

    Args:
        shard, queries: as in `sums_over_shard`.
        chosen: (B, n) int, rows of the bank.
        is_counted: (B, n) bool, which of them count; at least one for each query.
    """
    is_here = tf.logical_and(shard.has(chosen), is_counted)  # (B, n)
    places = tf.where(is_here, shard.places(chosen), 0)
    near = gather_rows(shard.rows, places)  # (B, n, D)
    logits = tf.where(is_here, tf.reduce_sum(queries[:, None] * near, axis=2), LEFT_OUT)
    return no_sums(queries).with_logits(
        logits, lambda weights: tf.reduce_sum(weights[:, :, None] * near, axis=1)
    )


def combined(sums: Sequence[SoftmaxSums | OthersSums], replicas: Replicas) -> list[Any]:
    """Combines the sums of all replicas, for several passes at once.

    Args:
        sums: of this replica, from n passes for queries (B, D) each.
        replicas: perform the two collectives. Each replica sends 4 n B bytes in the first, R times
            as many where a maximum is computed as the sum of a table, and about 4 n B (D + 1)
            bytes in the second, or twice as many for `OthersSums`.

    Returns:
        The combined sums, of the same types and in the same order, equal on all replicas.
    """
    largest = replicas.maximum(tf.stack([found.largest for found in sums]))  # (n, B)
    relative = [
        found.relative_to(logit)
        for found, logit in zip(sums, tf.unstack(largest, len(sums)), strict=True)
    ]
    totals = iter(replicas.total([value for found in relative for value in found[1:]]))
    return [type(found)(found[0], *(next(totals) for _ in found[1:])) for found in relative]
