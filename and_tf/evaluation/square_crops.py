"""Square crops of square images: random, central, and the ten crops of the ImageNet protocols."""

from collections.abc import Sequence

import numpy as np

from and_tf.data.decode import centre, centre_start
from and_tf.data.sources.source import Source

NUM_VALUES = 3  # random numbers per crop: top, left, flip


class CentreCrops:
    """A view of a source whose images are the centre of a larger square, for `extract_layers`.

    Args:
        source: of the images.
        side: of the square in pixels, to which the shorter side of an image is resized.
    """

    def __init__(self, source: Source, side: int):
        self.source, self.side, self.name = source, side, source.name

    def __len__(self) -> int:
        return len(self.source)

    def load(self, indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Images at `indices` (B,), as (B, size, size, 3) uint8."""
        return centre(self.source.load(indices, self.side), size)


def random_crops(images: np.ndarray, noise: np.ndarray, size: int) -> np.ndarray:
    """A crop at a random place of each image, mirrored left to right with probability 1/2.

    Args:
        images: (B, R, R, 3) uint8.
        noise: (B, NUM_VALUES) float in [0, 1), the random numbers of each image.
        size: S, side of the crops, at most R.

    Returns:
        (B, S, S, 3) uint8.
    """
    places = (noise[:, :2] * (images.shape[1] - size + 1)).astype(int)  # (B, 2)
    crops = np.empty((len(images), size, size, 3), np.uint8)
    for crop, image, (top, left), (*_, flip) in zip(crops, images, places, noise, strict=True):
        cut = image[top : top + size, left : left + size]
        crop[:] = cut[:, ::-1] if flip < 0.5 else cut
    return crops


def ten_crops(images: np.ndarray, size: int) -> np.ndarray:
    """Four corners and the centre of each image, then the same crops of its mirror image.

    Args:
        images: (B, R, R, 3) uint8.
        size: S, side of the crops, at most R.

    Returns:
        (B, 10, S, S, 3) uint8 in the order of torchvision's TenCrop: top left, top right, bottom
        left, bottom right, centre.

    Reference: Krizhevsky et al., NeurIPS 2012, section 4.1.
    """
    last, middle = images.shape[1] - size, centre_start(images.shape[1], size)
    places = [(0, 0), (0, last), (last, 0), (last, last), (middle, middle)]
    crops = [
        upright[:, top : top + size, left : left + size]
        for upright in (images, images[:, :, ::-1])
        for top, left in places
    ]
    return np.stack(crops, axis=1)
