"""The loss of AND, which without anchors is that of Instance: on given logits, and over a bank."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from and_tf.bank.rows import gather_rows
from and_tf.methods.unification_entropy import softmax_and_entropy


def neighbourhood_loss(
    logits: tf.Tensor,
    indices: tf.Tensor,
    neighbours: tf.Tensor,
    is_anchor: tf.Tensor,
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
    return ops.logsumexp(logits, axis=1) - _log_positive(own, others, is_anchor)  # (B,)


def _log_positive(own: tf.Tensor, others: tf.Tensor, is_anchor: tf.Tensor) -> tf.Tensor:
    """Logsumexp over the own row (B, 1) and an anchor's neighbours (B, k): (B,)."""
    others = ops.where(is_anchor[:, None], others, -np.inf)
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

    The same pass computes the gradient, which flows to the embeddings only.

    Args:
        embeddings: (B, D) float.
        rows: (N, D) float32 or float16; a variable is read block by block, never as a whole.
        indices: as in `neighbourhood_loss`.
        neighbours: as in `neighbourhood_loss`.
        is_anchor: as in `neighbourhood_loss`.
        temperature: tau, above 0.
        block_size: rows compared at once, an int or a scalar int32 tensor; need not divide N.

    Returns:
        (B,) float32, in nats.
    """

    @tf.custom_gradient
    def loss(embeddings):
        losses, gradient = bank_loss_and_gradient(
            embeddings, rows, indices, neighbours, is_anchor, temperature, block_size
        )
        return losses, lambda upstream: upstream[:, None] * gradient

    return loss(tf.cast(embeddings, tf.float32))


def bank_loss_and_gradient(
    embeddings: tf.Tensor,
    rows: tf.Tensor | tf.Variable | keras.Variable,
    indices: tf.Tensor,
    neighbours: tf.Tensor,
    is_anchor: tf.Tensor,
    temperature: float,
    block_size: int | tf.Tensor,
    *,
    entropy_weight: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """`bank_loss` and its gradient, in one pass over the bank.

    The gradient is the mean row under the softmax over all rows minus the mean row under the
    softmax over the image's own neighbourhood, divided by the temperature.

    Args:
        Those of `bank_loss`.
        entropy_weight: weight of `unification_entropy`, which is added; None to leave it out.

    Returns:
        Losses (B,) float32 in nats, and the gradient (B, D) float32 of each with respect to its
        embedding.
    """
    bank = rows.value if isinstance(rows, keras.Variable) else rows
    queries = tf.cast(embeddings, tf.float32) / temperature  # (B, D)
    log_total, mean_row = softmax_and_entropy(  # (B,), (B, D)
        bank, queries, indices, block_size, entropy_weight
    )
    positives = tf.concat([indices[:, None], tf.cast(neighbours, indices.dtype)], axis=1)
    near = gather_rows(bank, positives)  # (B, 1+k, D)
    log_positive, mean_positive = _softmax_over_neighbourhood(  # (B,), (B, D)
        near, queries, is_anchor
    )
    return log_total - log_positive, (mean_row - mean_positive) / temperature


def _softmax_over_neighbourhood(
    near: tf.Tensor, queries: tf.Tensor, is_anchor: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Logsumexp (B,) and mean row (B, D) over the own row and an anchor's neighbours.

    Args:
        near: (B, 1+k, D), the own row first.
        queries: (B, D), embeddings over the temperature.
        is_anchor: (B,) bool.
    """
    logits = tf.reduce_sum(queries[:, None] * near, axis=2)  # (B, 1+k)
    log_positive = _log_positive(logits[:, :1], logits[:, 1:], is_anchor)  # (B,)
    weights = tf.exp(logits - log_positive[:, None])  # (B, 1+k)
    of_others = tf.where(is_anchor[:, None], weights[:, 1:], 0.0)  # (B, k)
    weights = tf.concat([weights[:, :1], of_others], axis=1)  # (B, 1+k)
    return log_positive, tf.reduce_sum(weights[:, :, None] * near, axis=1)
