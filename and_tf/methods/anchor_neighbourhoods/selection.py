"""The selection of anchors, and what is said of neighbourhoods."""

import numpy as np


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
