"""The cosine above which an encoder proposes near-duplicates, from a folder's best matches."""

import numpy as np


def proposal_threshold(neighbours: np.ndarray, similarity: np.ndarray, known: np.ndarray) -> float:
    """The median, over all images, of the cosine with the nearest image that is not a known copy.

    Whatever the encoder, half of all images have no match this near. It is low enough to include
    cropped and slightly rotated copies, and proposes about one pair per image, whose pixels decide.

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
    is_known[:, -1] = False  # if all are, the best match is no nearer than the last
    first = is_known.argmin(axis=1)
    return float(np.median(similarity[np.arange(len(first)), first]))
