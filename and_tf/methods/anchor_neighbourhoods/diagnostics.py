"""Metrics of the rounds: their titles and meanings, and consistency with the labels."""

import numpy as np

# Metrics that the curriculum adds to an epoch's logs, in the order of the report's columns.
METRIC_TITLES = {
    "anchors": "anchors",
    "stability": "stability (%)",
    "entropy_mean": "entropy (nats)",
    "consistency": "consistency (%)",
}
LABELLED_METRICS = ("consistency",)
METRIC_MEANINGS = {
    "stability": "fraction of the previous round's neighbours that the round's start found again",
    "entropy_mean": "of an image's similarities to all others, in nats; low: a clear neighbourhood "
    "(Huang et al., ICML 2019)",
    "consistency": "fraction of the anchors' neighbours at the round's start that are of their "
    "anchor's class",
}


def consistency(neighbours: np.ndarray, is_anchor: np.ndarray, labels: np.ndarray) -> float | None:
    """Percentage of (anchor, neighbour) pairs with equal labels.

    Pairs in which an image has no label (-1) are left out; None if no pair remains.

    Args:
        neighbours: (N, k) int.
        is_anchor: (N,) bool.
        labels: (N,) int.
    """
    anchors = np.flatnonzero(is_anchor)
    own, others = labels[anchors][:, None], labels[neighbours[anchors]]
    is_known = (own >= 0) & (others >= 0)
    return 100.0 * float(np.mean((own == others)[is_known])) if is_known.any() else None
