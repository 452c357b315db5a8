"""The cosine above which an encoder proposes near-duplicates, by a folder's best matches."""

import numpy as np


def proposal_threshold(neighbours: np.ndarray, similarity: np.ndarray, known: np.ndarray) -> float:
    """The median, over all images, of the cosine with the nearest image that is no known copy.

    Half of all images have nothing so near, whatever the encoder. It is low enough to hold cut and
    slightly turned copies, and proposes about one pair for each image: their pixels decide.

    Args:
        neighbours: (N, m) int, the nearest others of each image, nearest first.
        similarity: (N, m) float, their cosines.
        known: (N,) int, the same number for images that are known copies of one another.

    Returns:
        A cosine; 1 where there are no neighbours.
    """
    if not neighbours.size:
        return 1.0
    is_known = known[neighbours] == known[:, None]  # (N, m)
    is_known[:, -1] = False  # where all are, the best match is no nearer than the last
    first = is_known.argmin(axis=1)
    return float(np.median(similarity[np.arange(len(first)), first]))
