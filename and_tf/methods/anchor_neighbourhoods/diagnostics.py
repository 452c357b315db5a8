"""Metrics of the rounds: their titles and meanings, and consistency with the labels."""

import numpy as np

# Metrics that the curriculum adds to an epoch's logs, in the order of the report's columns.
METRIC_TITLES = {
    "anchors": "anchors",
    "stability": "stability (%)",
    "mutual": "mutual pairs of anchors (%)",
    "anchors_alone": "anchors that stand alone",
    "entropy_mean": "entropy (nats)",
    "consistency": "consistency (%)",
}
LABELLED_METRICS = ("consistency",)
METRIC_MEANINGS = {
    "stability": "fraction of the previous round's neighbours that the round's start found again; "
    "where only mutual pairs count, of these",
    "mutual": "fraction of the anchors' neighbours that count, because the anchor is among "
    "theirs; an anchor without any stands alone",
    "entropy_mean": "of an image's similarities to all others, in nats; low: a clear neighbourhood "
    "(Huang et al., ICML 2019)",
    "consistency": "fraction of the neighbours at the round's start, of those that count in "
    "training, that are of their anchor's class",
}


def consistency(
    neighbours: np.ndarray,
    is_anchor: np.ndarray,
    labels: np.ndarray,
    is_neighbour: np.ndarray | None = None,
) -> float | None:
    """Percentage of (anchor, neighbour) pairs with equal labels.

    Pairs in which an image has no label (-1) are left out; None if no pair remains.

    Args:
        neighbours: (N, k) int.
        is_anchor: (N,) bool.
        labels: (N,) int.
        is_neighbour: (N, k) bool, which of the neighbours count; None for all.
    """
    anchors = np.flatnonzero(is_anchor)
    own, others = labels[anchors][:, None], labels[neighbours[anchors]]
    is_known = (own >= 0) & (others >= 0)
    if is_neighbour is not None:
        is_known &= is_neighbour[anchors]
    return 100.0 * float(np.mean((own == others)[is_known])) if is_known.any() else None
