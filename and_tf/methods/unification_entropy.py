"""Unification entropy: a loss that sharpens an image's softmax over all others."""

from __future__ import annotations

import keras
import tensorflow as tf

from and_tf.bank.softmax import (
    BankSoftmax,
    OthersSoftmax,
    softmax_over_bank,
    softmax_over_others,
)


def unification_entropy(
    embeddings: tf.Tensor,
    rows: tf.Tensor | tf.Variable | keras.Variable,
    indices: tf.Tensor,
    temperature: float,
    block_size: int | tf.Tensor,
) -> tf.Tensor:
    """The entropy of each image's softmax over the bank without its own row.

    The same pass over the bank computes the gradient, which flows to the embeddings only.

    Args:
        embeddings: (B, D) float.
        rows: (N, D) float32 or float16; a variable is read block by block, never as a whole.
        indices: (B,) int, bank row of each image.
        temperature: tau, above 0.
        block_size: rows compared at once, an int or a scalar int32 tensor; need not divide N.

    Returns:
        (B,) float32, in nats.

    Reference: Han et al., "Mitigating Embedding and Class Assignment Mismatch in Unsupervised Image
    Classification" (Super-AND), ECCV 2020; there the own logit is -10, here the row is left out.
    """
    bank = rows.value if isinstance(rows, keras.Variable) else rows

    @tf.custom_gradient
    def entropy(embeddings: tf.Tensor):
        others = softmax_over_others(bank, embeddings / temperature, indices, block_size)
        gradient = others.entropy_gradient / temperature
        return others.entropy, lambda upstream: upstream[:, None] * gradient

    return entropy(tf.cast(embeddings, tf.float32))


def softmax_and_entropy(
    bank: tf.Tensor | tf.Variable,
    queries: tf.Tensor,
    indices: tf.Tensor,
    block_size: int | tf.Tensor,
    weight: float | tf.Tensor | None,
) -> BankSoftmax:
    """`softmax_over_bank` plus `weight` times the unification entropy, in one pass.

    Args:
        bank, queries, block_size: as in `softmax_over_bank`.
        indices: (B,) int, bank row of each query's image.
        weight: of the entropy, a number or scalar tensor; None for the softmax alone.

    Returns:
        A total (B,) and its gradient (B, D) with respect to the queries, which a loss uses instead
        of those of the softmax alone.
    """
    if weight is None:
        return softmax_over_bank(bank, queries, block_size)
    others = softmax_over_others(bank, queries, indices, block_size)
    return with_entropy(others.with_own_row(bank, queries, indices), others, weight)


def with_entropy(
    softmax: BankSoftmax, others: OthersSoftmax, weight: float | tf.Tensor
) -> BankSoftmax:
    """The softmax over all rows plus `weight` times the entropy over the others."""
    return BankSoftmax(
        softmax.log_total + weight * others.entropy,
        softmax.mean_row + weight * others.entropy_gradient,
    )
