"""Metrics of the clusters: titles, meanings, and agreement with previous clusters and labels."""

import numpy as np

from and_tf.data.subsets import has_labels

# Metrics that the reassignment adds to an epoch's logs, in the order of the report's columns.
METRIC_TITLES = {
    "nmi_previous": "NMI to the previous clusters",
    "nmi_labels": "NMI to labels",
    "largest_cluster": "largest cluster (images)",
    "smallest_cluster": "smallest cluster (images)",
    "refilled_clusters": "empty clusters refilled",
}
LABELLED_METRICS = ("nmi_labels",)
METRIC_MEANINGS = {
    "nmi_previous": "normalised mutual information of the clusters and those before them; 1: the "
    "same clusters",
    "nmi_labels": "normalised mutual information of the clusters and the labels; 1: each tells the "
    "other",
    "refilled_clusters": "clusters that k-means left empty, each of which got half of the largest",
}


def cluster_metrics(
    clusters: np.ndarray, before: np.ndarray | None, labels: np.ndarray | None
) -> dict[str, float]:
    """Sizes of the clusters, and their agreement with previous clusters and labels.

    Args:
        clusters: (N,) int.
        before: (N,) int, the clusters of the previous epoch; None in the first.
        labels: (N,) int, -1 where unknown; or None.

    Returns:
        `largest_cluster` and `smallest_cluster` in images; `nmi_previous` and `nmi_labels`, the
        mutual information normalised by the arithmetic mean (0 to 1), if there is something to
        compare with.

    Reference: Caron et al., ECCV 2018, section 4.1.
    """
    from sklearn.metrics import normalized_mutual_info_score

    sizes = np.bincount(clusters)
    metrics: dict[str, float] = {
        "largest_cluster": int(sizes.max()),
        "smallest_cluster": int(sizes.min()),
    }
    if before is not None:
        metrics["nmi_previous"] = float(normalized_mutual_info_score(before, clusters))
    if labels is not None and has_labels(labels):
        is_known = labels >= 0
        known = normalized_mutual_info_score(labels[is_known], clusters[is_known])
        metrics["nmi_labels"] = float(known)
    return metrics
