"""The weighted kNN classifier, single or in a sweep, and top-1 / top-5 accuracy."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from and_tf.errors import Argument, UserError
from and_tf.evaluation.inputs import count_classes, is_labelled
from and_tf.evaluation.protocols.knn import LOWEST_TEMPERATURE
from and_tf.search.nearest import nearest_blocks, nearest_rows
from and_tf.search.votes import NEIGHBOURS, TEMPERATURE, class_votes


def weighted_knn(
    rows: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
    num_classes: int | None = None,
    budget_bytes: int | None = None,
) -> np.ndarray:
    """Class scores of queries from a weighted vote of their nearest labelled rows.

    The score of a class is the sum of exp(cosine / temperature) over those of the k nearest rows
    that have its label. Rows and queries are compared as L2-normalised copies.

    Args:
        rows: (N, D) float, a bank or the features of a training set.
        labels: (N,) int, -1 where unknown; such rows do not vote.
        queries: (Q, D) float.
        k: neighbours that vote; at most the number of labelled rows is used. Among equally near
            rows the lower index comes first.
        temperature: of the weights; at least 1 / 690.
        num_classes: columns of the result; None for the highest label + 1.
        budget_bytes: for blocks held at once; None for `nearest.BLOCK_BYTES`.

    Returns:
        (Q, C) float64: float32 overflows beyond exp(88), which a temperature of 0.01 exceeds.

    Raises:
        UserError: if shapes do not fit, k < 1, the temperature is out of range, no row has a label,
            a label is outside -1..num_classes - 1, or rows or queries are not finite.

    Reference: Wu et al., CVPR 2018, section 3.4; Huang et al., ICML 2019, section 4.
    """
    is_labelled(rows, labels, "rows")
    num_classes = count_classes(np.asarray(labels), num_classes)
    scores = np.zeros((len(queries), num_classes))
    for part, _, found in _voted_blocks(
        rows, labels, queries, [k], [temperature], num_classes, budget_bytes, progress=False
    ):
        scores[part] = found
    return scores


def sweep_knn(
    rows: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    ks: Sequence[int],
    temperatures: Sequence[float],
    num_classes: int | None = None,
    budget_bytes: int | None = None,
    progress: bool = False,
) -> dict[tuple[int, float], np.ndarray]:
    """The best classes of queries by `weighted_knn` for each k and temperature, from one search.

    Only the best classes are returned, because the full scores of many settings would exceed any
    budget.

    Args:
        ks: each at least 1; those above the number of labelled rows are lowered to that number.
        temperatures: each at least 1 / 690.
        progress: show a bar if the search takes more than a few seconds.
        rows, labels, queries, num_classes, budget_bytes: as in `weighted_knn`.

    Returns:
        {(k, temperature): (Q, 5) int32}, with k as used and in the order given: the classes of the
        five highest scores, highest first, ties in order of class; (Q, C) with fewer classes. -1
        replaces classes without a vote: with few neighbours they would make up most of the top
        five.

    Raises:
        UserError: as in `weighted_knn`.
    """
    ranked: dict[tuple[int, float], np.ndarray] = {}
    for part, setting, scores in _voted_blocks(
        rows, labels, queries, ks, temperatures, num_classes, budget_bytes, progress
    ):
        best = best_classes(scores)
        best[np.take_along_axis(scores, best, axis=1) == 0] = -1
        if setting not in ranked:
            ranked[setting] = np.empty((len(queries), best.shape[1]), np.int32)
        ranked[setting][part] = best
    return ranked


def _voted_blocks(
    rows: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    ks: Sequence[int],
    temperatures: Sequence[float],
    num_classes: int | None,
    budget_bytes: int | None,
    progress: bool,
) -> Iterator[tuple[slice, tuple[int, float], np.ndarray]]:
    """Yields a slice of the queries, k and temperature, and their scores (block, C)."""
    for temperature in temperatures:
        if not temperature >= LOWEST_TEMPERATURE:
            raise UserError(
                Argument("temperature", temperature),
                f" must be at least {LOWEST_TEMPERATURE:.5f}, or exp(1 / temperature) overflows: "
                "the usual value is 0.1.",
            )
    labels = np.asarray(labels)
    chosen = is_labelled(rows, labels, "rows")
    num_classes = count_classes(labels, num_classes)
    ks = list(dict.fromkeys(min(k, int(chosen.sum())) for k in ks))
    if min(ks) < 1:
        raise UserError(Argument("k", min(ks)), " must be at least 1.")
    for part, indices, similarity in nearest_blocks(
        rows, queries, max(ks), chosen, budget_bytes, progress
    ):
        voters = labels[indices]  # (block, k)
        for k, temperature in itertools.product(ks, temperatures):
            votes = class_votes(similarity[:, :k], voters[:, :k], temperature, num_classes)
            yield part, (k, temperature), votes


def best_classes(scores: np.ndarray, number: int = 5) -> np.ndarray:
    """The classes of the highest scores, highest first; ties in order of class.

    Args:
        scores: (Q, C) float.
        number: of classes; all of them if there are fewer.

    Returns:
        (Q, min(number, C)) int.
    """
    return np.argsort(-scores, axis=1, kind="stable")[:, :number]


def nearest_neighbour(
    rows: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    budget_bytes: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Label of the single nearest labelled row of each query.

    Args:
        rows: (N, D) float.
        labels: (N,) int, -1 where unknown; such rows are ignored.
        queries: (Q, D) float.
        budget_bytes: for blocks held at once; None for `nearest.BLOCK_BYTES`.
        progress: show a bar if the search takes more than a few seconds.

    Returns:
        (Q,) labels, of the type of `labels`.

    Raises:
        UserError: if shapes do not fit, no row has a label, or rows or queries are not finite.
    """
    labels = np.asarray(labels)
    chosen = is_labelled(rows, labels, "rows")
    indices, _ = nearest_rows(rows, queries, 1, chosen, budget_bytes, progress)
    return labels[indices[:, 0]]


def accuracy(
    scores: np.ndarray, labels: np.ndarray, top: Sequence[int] = (1, 5)
) -> dict[str, float]:
    """Percentage of the queries whose label is among the highest scores.

    Ties go to the lower class. With fewer than n classes, top-n includes them all. A label beyond
    the columns, or whose score is -inf, is a miss.

    Args:
        scores: (Q, C) float.
        labels: (Q,) int; queries with label -1 are left out.
        top: the n of each top-n.

    Returns:
        {"top1": percent, "top5": percent} for the default `top`.

    Raises:
        UserError: if shapes do not fit, scores are NaN, or no query has a label.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise UserError(
            "scores must be (Q, C) and labels (Q,). "
            f"Received scores of shape {scores.shape} and labels of shape {labels.shape}."
        )
    is_known = labels >= 0
    if not is_known.any():
        raise UserError(
            f"None of the {len(labels)} queries has a label (all are -1): "
            "accuracy needs a labelled evaluation set."
        )
    scores, labels = scores[is_known], labels[is_known]
    if np.isnan(scores).any():
        raise UserError(f"{int(np.isnan(scores).any(axis=1).sum())} rows of scores hold a NaN.")
    columns = np.arange(scores.shape[1])
    known = labels < scores.shape[1]
    labels = np.where(known, labels, 0)[:, None]  # (Q, 1)
    own = np.take_along_axis(scores, labels, axis=1)  # (Q, 1)
    is_ahead = (scores > own) | ((scores == own) & (columns < labels))  # (Q, C)
    rank = is_ahead.sum(axis=1)
    found = known & (own[:, 0] > -np.inf)
    return {f"top{n}": 100.0 * float(np.mean(found & (rank < n))) for n in top}


def ranking_accuracy(
    ranked: np.ndarray, labels: np.ndarray, top: Sequence[int] = (1, 5)
) -> dict[str, float]:
    """`accuracy` of classes that are already ranked.

    Args:
        ranked: (Q, n) int, best class first, -1 for none; top-m with m above n includes all n.
        labels: (Q,) int; queries with label -1 are left out.
        top: the m of each top-m.

    Returns:
        {"top1": percent, "top5": percent} for the default `top`.

    Raises:
        UserError: if no query has a label.
    """
    known = is_labelled(ranked, labels, "queries")
    hits = ranked[known] == labels[known, None]  # (Q, n)
    return {f"top{m}": 100.0 * float(hits[:, :m].any(axis=1).mean()) for m in top}
