"""The random crop of one image of its own size, in NumPy for the threads that decode photos."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from and_tf.data.augmentation.columns import AREA, CROP_RATIOS, LEFT, RATIO, TOP

if TYPE_CHECKING:
    from and_tf.data.settings import AugmentationSettings


class Box(NamedTuple):
    """A crop in whole pixels."""

    top: int
    left: int
    height: int
    width: int


def crop_box(noise: np.ndarray, height: int, width: int, settings: AugmentationSettings) -> Box:
    """The crop that `crop.crop_boxes` gives an image of this size.

    Args:
        noise: (VALUES_PER_IMAGE,) float32, the random numbers of the image.
        height, width: of the image in pixels.
        settings: `crop_min_area` is used.

    Reference: RandomResizedCrop.get_params of torchvision.
    """
    smallest, (narrow, wide) = settings.crop_min_area, CROP_RATIOS
    area = np.float32(height * width) * (smallest + (1 - smallest) * noise[AREA])  # (ATTEMPTS,)
    ratio = np.exp(math.log(narrow) + (math.log(wide) - math.log(narrow)) * noise[RATIO])
    widths, heights = np.round(np.sqrt(area * ratio)), np.round(np.sqrt(area / ratio))
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    if not fits.any():
        high, broad = min(height, round(width / narrow)), min(width, round(height * wide))
        return Box((height - high) // 2, (width - broad) // 2, high, broad)
    first = int(np.argmax(fits))
    high, broad = int(heights[first]), int(widths[first])
    top, left = [
        min(int(number * np.float32(room + 1)), room)  # uniform over 0..room
        for number, room in ((noise[TOP], height - high), (noise[LEFT], width - broad))
    ]
    return Box(top, left, high, broad)


def with_whole_crop(noise: np.ndarray) -> np.ndarray:
    """The same random numbers, except that the crop is the whole of a square image.

    Args:
        noise: (..., VALUES_PER_IMAGE) float32.

    Returns:
        (..., VALUES_PER_IMAGE) float32: area 1 and aspect ratio 1 at the first attempt.
    """
    noise = noise.copy()
    noise[..., AREA], noise[..., RATIO] = 1.0, 0.5
    return noise


def has_whole_crop(noise: np.ndarray) -> np.ndarray:
    """(...) bool: which images are already crops, marked by an area of 1; noise is below 1."""
    return noise[..., AREA.start] == 1.0
