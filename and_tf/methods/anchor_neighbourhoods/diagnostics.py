"""Do neighbours share their anchor's label? For metrics alone."""

import numpy as np


def consistency(neighbours: np.ndarray, is_anchor: np.ndarray, labels: np.ndarray) -> float | None:
    """Fraction of (anchor, neighbour) pairs with equal labels, in percent.

    Pairs in which an image has no label (-1) are left out; None where no pair is left.
    """
    anchors = np.flatnonzero(is_anchor)
    own, others = labels[anchors][:, None], labels[neighbours[anchors]]
    is_known = (own >= 0) & (others >= 0)
    return 100.0 * float(np.mean((own == others)[is_known])) if is_known.any() else None
