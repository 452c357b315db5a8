"""Clusters, and the reason for their number."""

import dataclasses
from typing import NamedTuple

import numpy as np


class Candidate(NamedTuple):
    """One number of clusters that was tried.

    Attributes:
        num_clusters: k.
        silhouette: mean silhouette by cosine, -1..1.
        stability: agreement of clusterings of resampled images (adjusted Rand index), up to 1.
    """

    num_clusters: int
    silhouette: float
    stability: float


@dataclasses.dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster of each image.

    Attributes:
        numbers: (N,) int32, numbered by size, the largest cluster 0.
        candidates: the numbers of clusters that were compared; empty if the number was given.
        reason: why this number was chosen, in a sentence; empty if it was given.
        representatives: for each cluster (R,) int32, images nearest its centre first, one of each
            group of near-duplicates.
        chosen: the number of clusters that was chosen; 0 if it was given.
    """

    numbers: np.ndarray
    candidates: tuple[Candidate, ...] = ()
    reason: str = ""
    representatives: tuple[np.ndarray, ...] = ()
    chosen: int = 0

    @property
    def count(self) -> int:
        """How many clusters hold an image."""
        return int(self.numbers.max()) + 1
