"""Images whose folder is not that of their neighbours."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class SuspectLabels:
    """What the neighbours of each image say of its label.

    Attributes:
        suggested: (N,) int32, the class that weighted kNN votes for, the image left out.
        margin: (N,) float32, the vote for that class minus that for the image's own, as fractions
            of all votes: above 0 where they differ.
        is_suspect: (N,) bool.
    """

    suggested: np.ndarray
    margin: np.ndarray
    is_suspect: np.ndarray
