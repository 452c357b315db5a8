"""The loss of AND, and of Instance, against a bank whose rows are split over replicas."""

from __future__ import annotations

import tensorflow as tf

from and_tf.bank.shards import (
    Replicas,
    Shard,
    combined,
    sums_over_chosen,
    sums_over_others,
    sums_over_shard,
)
from and_tf.bank.softmax import BankSoftmax, OthersSums, SoftmaxSums
from and_tf.methods.unification_entropy import with_entropy


def sharded_loss_and_gradient(
    embeddings: tf.Tensor,
    shard: Shard,
    indices: tf.Tensor,
    neighbours: tf.Tensor,
    is_anchor: tf.Tensor,
    temperature: float,
    block_size: int | tf.Tensor,
    replicas: Replicas,
    entropy_weight: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """`bank_loss_and_gradient` over all parts of a sharded bank, for the images of all replicas.

    Args:
        embeddings: (B, D) float, of all replicas, as `gather_replicas` returns them.
        shard: the rows of the bank that this replica keeps.
        indices: (B,) int, bank row of each image.
        neighbours: (B, k) int, rows of the bank; k may be 0.
        is_anchor: (B,) bool, whose neighbours count.
        temperature: tau, above 0.
        block_size: rows compared at once.
        replicas: combine the sums of all replicas.
        entropy_weight: weight of `unification_entropy`, which is added; None to leave it out.

    Returns:
        Losses (B,) float32 in nats, and the gradient (B, D) float32 of each with respect to its
        embedding, equal on all replicas.
    """
    queries = tf.cast(embeddings, tf.float32) / temperature  # (B, D)
    own = indices[:, None]  # (B, 1)
    positives = tf.concat([own, tf.cast(neighbours, indices.dtype)], axis=1)  # (B, 1+k)
    is_counted = tf.broadcast_to(is_anchor[:, None], tf.shape(neighbours))  # (B, k)
    is_positive = tf.concat([tf.ones_like(own, tf.bool), is_counted], axis=1)  # (B, 1+k)
    sums: list[SoftmaxSums | OthersSums]
    sums = [sums_over_chosen(shard, queries, positives, is_positive)]
    if entropy_weight is None:
        near, everything = combined([*sums, sums_over_shard(shard, queries, block_size)], replicas)
        total = everything.softmax()
    else:
        sums += [
            sums_over_chosen(shard, queries, own, is_positive[:, :1]),
            sums_over_others(shard, queries, indices, block_size),
        ]
        near, own_row, others = combined(sums, replicas)
        total = _with_entropy(own_row, others, entropy_weight)
    log_positive, mean_positive = near.softmax()  # (B,), (B, D)
    return total.log_total - log_positive, (total.mean_row - mean_positive) / temperature


def _with_entropy(own_row: SoftmaxSums, others: OthersSums, weight: tf.Tensor) -> BankSoftmax:
    """The softmax over all rows plus the entropy over the others, from combined sums."""
    of_others = others.softmax()
    own = own_row.softmax()  # over a single row, so its logit and the row itself
    return with_entropy(of_others.with_row(own.mean_row, own.log_total), of_others, weight)
