"""How sharp an image is, whatever its subject."""

import numpy as np
from scipy.ndimage import uniform_filter1d

WINDOW = 5  # pixels over which an image is blurred again


def sharpness(grey: np.ndarray) -> float:
    """The fraction of an image's variation that a blur removes: little if it is blurred already.

    The less sharp of the two directions counts, because camera shake blurs only one. Edges of the
    sharp parts hold most of the variation, so a blurred background hardly counts.

    Args:
        grey: (H, W) float.

    Returns:
        0 (blurred, or all of one value) to 1.

    Reference: Crete et al., The blur effect: perception and estimation with a new no-reference
    perceptual blur metric, SPIE 2007; this is 1 minus their measure.
    """
    found = []
    for axis in (0, 1):
        variation = np.abs(np.diff(grey, axis=axis))
        blurred = np.abs(np.diff(uniform_filter1d(grey, WINDOW, axis=axis), axis=axis))
        total = float(variation.sum())
        lost = float(np.maximum(variation - blurred, 0).sum())
        found.append(lost / total if total > 0 else 0.0)
    return min(found)
