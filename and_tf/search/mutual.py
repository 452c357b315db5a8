"""Neighbours that are neighbours of each other."""

import numpy as np


def are_mutual(neighbours: np.ndarray) -> np.ndarray:
    """Whether each image is among the neighbours of its neighbours.

    Args:
        neighbours: (N, k) int, of all images.

    Returns:
        (N, k) bool: for image i and its neighbour j, whether i is also a neighbour of j.
    """
    is_mutual = np.empty(neighbours.shape, bool)
    for place, column in enumerate(neighbours.T):  # all at once would take (N, k, k)
        back = neighbours[column]  # (N, k)
        is_mutual[:, place] = (back == np.arange(len(neighbours))[:, None]).any(axis=1)
    return is_mutual
