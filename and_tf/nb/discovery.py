"""Neighbourhood discovery and the selection of anchors: pure functions of the bank."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from and_tf.precision import full_float32

BLOCK_BYTES = 64 << 20  # similarities held at once where the caller names no block size


class Neighbourhoods(NamedTuple):
    """What discovery finds for every image.

    Attributes:
        entropy: (N,) float32 in nats, of the softmax of a row against the whole bank, itself
            included. Low entropy means a consistent neighbourhood.
        neighbours: (N, k) int32, the nearest rows by cosine, nearest first, itself left out.
    """

    entropy: np.ndarray
    neighbours: np.ndarray


def discover(
    rows: np.ndarray | tf.Tensor,
    neighbourhood_size: int = 1,
    temperature: float = 0.1,
    block_size: int | None = None,
) -> Neighbourhoods:
    """Finds the entropy and the nearest neighbours of every row.

    Args:
        rows: (N, D) float, the bank or clean embeddings; L2-normalised copies are used.
        neighbourhood_size: k, from 1 to N - 1.
        temperature: tau, above 0.
        block_size: rows compared with the bank at once; need not divide N. By default as many as
            keep the similarities under 64 MiB.

    Returns:
        Neighbourhoods with `.entropy` (N,) and `.neighbours` (N, k).

    Raises:
        ValueError: if k or the temperature is out of range or a row is not finite.

    Reference: Huang et al., ICML 2019, section 3.2, eq. 3 and 4.
    """
    rows = _unit_rows(rows)
    num_rows = int(rows.shape[0])
    if not 1 <= neighbourhood_size < num_rows:
        raise ValueError(
            "neighbourhood_size must be at least 1 and smaller than the number of images. Received "
            f"neighbourhood_size={neighbourhood_size} for {num_rows} images."
        )
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0. Received temperature={temperature}.")
    block_size = block_size or max(1, BLOCK_BYTES // (4 * num_rows))
    entropies, nearest = [], []
    with full_float32():
        for start in range(0, num_rows, block_size):
            queries = rows[start : start + block_size]
            entropy, candidates = _discover_block(
                rows, queries, tf.constant(temperature), neighbourhood_size + 1
            )
            entropies.append(entropy.numpy())
            nearest.append(candidates.numpy())
    neighbours = _without_self(np.concatenate(nearest))
    return Neighbourhoods(np.concatenate(entropies), neighbours)


def _unit_rows(rows: np.ndarray | tf.Tensor) -> tf.Tensor:
    rows = tf.convert_to_tensor(rows)
    if not bool(tf.reduce_all(tf.math.is_finite(rows))):
        raise ValueError("rows must be finite. Received NaN or infinite values in the bank.")
    return tf.math.l2_normalize(tf.cast(rows, tf.float32), axis=1)


@tf.function(reduce_retracing=True)
def _discover_block(
    rows: tf.Tensor, queries: tf.Tensor, temperature: tf.Tensor, num_candidates: int
) -> tuple[tf.Tensor, tf.Tensor]:
    similarities = tf.matmul(queries, rows, transpose_b=True)  # (b, N)
    _, candidates = tf.math.top_k(similarities, num_candidates)  # (b, k+1)
    # Relative to the largest logit nothing overflows, and p log p is 0 where p underflows to 0.
    logits = similarities / temperature
    logits -= tf.reduce_max(logits, axis=1, keepdims=True)
    weights = tf.exp(logits)
    total = tf.reduce_sum(weights, axis=1)
    entropy = tf.math.log(total) - tf.reduce_sum(weights * logits, axis=1) / total  # (b,)
    return entropy, candidates


def _without_self(candidates: np.ndarray) -> np.ndarray:
    """Drops each row's own index from its (N, k + 1) candidates: (N, k) int32.

    Among exact copies of a row its own index may be missing; then the last candidate goes.
    """
    num_rows, num_candidates = candidates.shape
    dropped = candidates == np.arange(num_rows)[:, None]
    dropped[~dropped.any(axis=1), -1] = True
    return candidates[~dropped].reshape(num_rows, num_candidates - 1).astype(np.int32)


def select_anchors(entropy: np.ndarray, num_anchors: int) -> np.ndarray:
    """Marks the images of lowest entropy, ties by index.

    Args:
        entropy: (N,) float.
        num_anchors: from 0 to N.

    Returns:
        (N,) bool with `num_anchors` True values.

    Reference: Huang et al., ICML 2019, section 3.3.
    """
    entropy = np.asarray(entropy)
    if not 0 <= num_anchors <= len(entropy):
        raise ValueError(
            f"num_anchors must be from 0 to the number of images, {len(entropy)}. "
            f"Received num_anchors={num_anchors}."
        )
    is_anchor = np.zeros(len(entropy), bool)
    is_anchor[np.argsort(entropy, kind="stable")[:num_anchors]] = True
    return is_anchor


def consistency(neighbours: np.ndarray, is_anchor: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of (anchor, neighbour) pairs with equal labels, in percent.

    Pairs in which an image has no label (-1) are left out; None where no pair is left.
    """
    anchors = np.flatnonzero(is_anchor)
    own, others = labels[anchors][:, None], labels[neighbours[anchors]]
    is_known = (own >= 0) & (others >= 0)
    return 100.0 * float(np.mean((own == others)[is_known])) if is_known.any() else None


def stability(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the neighbours of before, (N, k), that are still neighbours after, in percent."""
    kept = (before[:, :, None] == after[:, None, :]).any(axis=2)
    return 100.0 * float(kept.mean())
