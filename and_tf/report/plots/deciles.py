"""Consistency and stability of neighbours by decile of entropy."""

import numpy as np

DECILES = 10
LEAST_IMAGES = 20  # per decile shown: with fewer, one image moves the line by 5 points or more


def images_per_decile(entropy: np.ndarray, labels: np.ndarray | None) -> int:
    """How many images, with a label if labels are given, are in the smallest decile of entropy.

    Args:
        entropy: (N,) float.
        labels: (N,) int, -1 where unknown; or None.
    """
    counts = np.ones(len(entropy), bool) if labels is None else np.asarray(labels) >= 0
    order = np.argsort(entropy, kind="stable")
    return min(int(counts[rows].sum()) for rows in np.array_split(order, DECILES))


def consistency_deciles(
    entropy: np.ndarray, neighbours: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Percentage of neighbours with the image's label, by decile of entropy.

    Args:
        entropy: (N,) float, of each image's neighbourhood.
        neighbours: (N, k) int, their rows.
        labels: (N,) int, -1 where unknown: such pairs are left out.

    Returns:
        (10,) float64, percent, from the lowest entropy to the highest; NaN where no pair is left.

    Reference: Huang et al., ICML 2019, figure on consistency against entropy.
    """
    own, others = labels[:, None], labels[neighbours]  # (N, 1), (N, k)
    is_known = (own >= 0) & (others >= 0)  # (N, k)
    return _by_decile(entropy, (own == others) & is_known, is_known)


def stability_deciles(
    entropy: np.ndarray, neighbours: np.ndarray, later_neighbours: np.ndarray
) -> np.ndarray:
    """Percentage of neighbours that the next round finds again, by decile of entropy.

    Args:
        entropy: (N,) float.
        neighbours, later_neighbours: (N, k) int, of one round and of the next.

    Returns:
        (10,) float64, percent, from the lowest entropy to the highest; NaN where there is no image.
    """
    is_found_again = (neighbours[:, :, None] == later_neighbours[:, None, :]).any(axis=2)  # (N, k)
    return _by_decile(entropy, is_found_again, np.ones_like(is_found_again))


def _by_decile(entropy: np.ndarray, is_hit: np.ndarray, is_counted: np.ndarray) -> np.ndarray:
    percent = np.full(DECILES, np.nan)
    order = np.argsort(entropy, kind="stable")
    for decile, rows in enumerate(np.array_split(order, DECILES)):
        if is_counted[rows].any():
            percent[decile] = 100 * is_hit[rows].sum() / is_counted[rows].sum()
    return percent
