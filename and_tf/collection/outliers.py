"""Images that are like no other of the collection."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Outliers:
    """How far each image lies from the others.

    Attributes:
        scores: (N,) float32, the distance to the k-th neighbour over what is usual in the
            collection: about 1 for most.
        is_outlier: (N,) bool.
        k: which neighbour.
    """

    scores: np.ndarray
    is_outlier: np.ndarray
    k: int
