"""Nearest rows by cosine, the weighted kNN classifier on them, and top-1 / top-5."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from and_tf.evaluation.inputs import check_finite, count_classes, labelled
from and_tf.precision import full_float32

# A (queries, N) float32 block of similarities stays below this, whatever N is.
BLOCK_BYTES = 64 * 2**20

# exp(1 / temperature), summed over the neighbours, must be a float64.
LOWEST_TEMPERATURE = 1 / 690


def weighted_knn(
    rows: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    k: int = 200,
    temperature: float = 0.1,
    num_classes: int | None = None,
) -> np.ndarray:
    """Class scores of queries by a weighted vote of their nearest labelled rows.

    The score of a class is the sum of exp(cosine / temperature) over those of the k nearest rows
    that bear its label. Rows and queries are compared as L2-normalised copies.

    Args:
        rows: (N, D) float, a bank or the features of a training set.
        labels: (N,) int, -1 where unknown; such rows are no neighbours.
        queries: (Q, D) float.
        k: neighbours that vote; at most the number of labelled rows is used. Of equally near rows
            the one of lower index comes first.
        temperature: of the weights; at least 1 / 690.
        num_classes: columns of the result; None for the highest label + 1.

    Returns:
        (Q, C) float64: float32 ends at exp(88), which a temperature of 0.01 exceeds.

    Raises:
        ValueError: shapes that do not fit, k < 1, a temperature out of range, no labelled row, a
            label outside -1..num_classes - 1, rows or queries that are not finite.

    Reference: Wu et al., CVPR 2018, section 3.4; Huang et al., ICML 2019, section 4.
    """
    if not temperature >= LOWEST_TEMPERATURE:
        raise ValueError(
            f"temperature must be at least {LOWEST_TEMPERATURE:.5f}, or exp(1 / temperature) "
            f"overflows. Received temperature={temperature}: the usual value is 0.1."
        )
    rows, labels = labelled(rows, labels, "rows")
    num_classes = count_classes(labels, num_classes)
    queries = np.asarray(queries)
    scores = np.zeros((len(queries), num_classes))
    for part, indices, similarity in _nearest_blocks(rows, queries, min(k, len(rows))):
        votes = np.exp(similarity.astype(np.float64) / temperature)  # (block, k)
        cells = np.arange(len(votes))[:, None] * num_classes + labels[indices]  # (block, k)
        sums = np.bincount(cells.ravel(), votes.ravel(), minlength=len(votes) * num_classes)
        scores[part] = sums.reshape(-1, num_classes)
    return scores


def nearest_neighbour(rows: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Label of the single nearest labelled row of each query.

    Args:
        rows: (N, D) float.
        labels: (N,) int, -1 where unknown; such rows are no neighbours.
        queries: (Q, D) float.

    Returns:
        (Q,) labels, of the type of `labels`.

    Raises:
        ValueError: as `weighted_knn`.
    """
    rows, labels = labelled(rows, labels, "rows")
    indices, _ = nearest_rows(rows, queries, k=1)
    return labels[indices[:, 0]]


def accuracy(
    scores: np.ndarray, labels: np.ndarray, top: Sequence[int] = (1, 5)
) -> dict[str, float]:
    """Share of the queries whose label is among the highest scores, in percent.

    Of equal scores the lower class comes first. With fewer than n classes top-n takes them all. A
    label beyond the columns, or one that is scored -inf, is a miss.

    Args:
        scores: (Q, C) float.
        labels: (Q,) int; queries with label -1 are left out.
        top: the n of each top-n.

    Returns:
        {"top1": percent, "top5": percent} for the default `top`.

    Raises:
        ValueError: shapes that do not fit, NaN scores, no labelled query.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            "scores must be (Q, C) and labels (Q,). "
            f"Received scores of shape {scores.shape} and labels of shape {labels.shape}."
        )
    is_labelled = labels >= 0
    if not is_labelled.any():
        raise ValueError(
            f"None of the {len(labels)} queries has a label (all are -1): "
            "accuracy needs a labelled evaluation set."
        )
    scores, labels = scores[is_labelled], labels[is_labelled]
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).any(axis=1).sum())} rows of scores hold a NaN.")
    columns = np.arange(scores.shape[1])
    known = labels < scores.shape[1]
    labels = np.where(known, labels, 0)[:, None]  # (Q, 1)
    own = np.take_along_axis(scores, labels, axis=1)  # (Q, 1)
    is_ahead = (scores > own) | ((scores == own) & (columns < labels))  # (Q, C)
    rank = is_ahead.sum(axis=1)
    found = known & (own[:, 0] > -np.inf)
    return {f"top{n}": 100.0 * float(np.mean(found & (rank < n))) for n in top}


def nearest_rows(rows: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of highest cosine with each query, without an array of size (Q, N).

    Args:
        rows: (N, D) float.
        queries: (Q, D) float.
        k: 1..N.

    Returns:
        indices (Q, k) int32 and cosines (Q, k) float32, nearest first, ties by lower index.

    Raises:
        ValueError: shapes that do not fit, k out of range, rows or queries that are not finite.
    """
    queries = np.asarray(queries)
    indices = np.empty((len(queries), k), np.int32)
    similarity = np.empty((len(queries), k), np.float32)
    for part, block_indices, block_similarity in _nearest_blocks(rows, queries, k):
        indices[part], similarity[part] = block_indices, block_similarity
    return indices, similarity


def _nearest_blocks(rows, queries, k):
    """Yields a slice of the queries, and its indices and cosines (block, k)."""
    rows, queries = _unit(rows, "rows"), _unit(queries, "queries")
    if rows.shape[1] != queries.shape[1]:
        raise ValueError(
            "rows and queries must have the same width. "
            f"Received rows of shape {rows.shape} and queries of shape {queries.shape}: "
            "take both from the same layer of the same encoder."
        )
    if not 1 <= k <= len(rows):
        raise ValueError(f"k must lie in 1..{len(rows)}, the number of rows. Received k={k}.")
    block = max(1, BLOCK_BYTES // (4 * len(rows)))
    rows = tf.constant(rows)  # once to the device
    for start in range(0, len(queries), block):
        part = slice(start, start + block)
        with full_float32():
            similarity, indices = _top_k(rows, queries[part], k)
        yield part, indices.numpy(), similarity.numpy()


@tf.function(
    input_signature=[
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((), tf.int32),
    ]
)
def _top_k(rows, queries, k):
    similarity = tf.matmul(queries, rows, transpose_b=True)  # (block, N)
    return tf.math.top_k(similarity, k)  # ties by lower index


def _unit(values, name):
    """An L2-normalised float32 copy; rows of zeros stay zeros."""
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise ValueError(f"{name} must be (number, width). Received shape {values.shape}.")
    check_finite(values, name)
    # The squares of small float32 values underflow; their sum in float64 does not.
    norms = np.sqrt(np.einsum("nd,nd->n", values, values, dtype=np.float64))
    scale = np.where(norms > 0, norms, 1).astype(np.float32)
    return values / scale[:, None]
