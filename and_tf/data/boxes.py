"""Bounding boxes, the part of an image that shows what the data set is about."""

from __future__ import annotations

import numpy as np
from PIL import Image


def pixel_box(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """A box in whole pixels, at least one each way.

    Args:
        box: (4,) float, ymin, xmin, ymax, xmax as fractions of the upright image.
        height, width: of that image.

    Returns:
        left, top, right and bottom, as `PIL.Image.crop` takes them.
    """
    top, bottom = _interval(box[0], box[2], height)
    left, right = _interval(box[1], box[3], width)
    return left, top, right, bottom


def _interval(low: float, high: float, length: int) -> tuple[int, int]:
    start = min(max(round(low * length), 0), length - 1)
    return start, min(max(round(high * length), start + 1), length)


def box_shapes(boxes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """(N, 2) int32: height and width in pixels of the boxes (N, 4) of images of shapes (N, 2)."""
    found = [
        (bottom - top, right - left) if height else (0, 0)
        for box, (height, width) in zip(boxes, shapes.tolist(), strict=True)
        for left, top, right, bottom in [pixel_box(box, height or 1, width or 1)]
    ]
    return np.array(found, np.int32).reshape(-1, 2)


def crop_reduced(image: Image.Image, box: tuple[int, int, int, int], factor: int) -> Image.Image:
    """A box cut from an image that was decoded smaller.

    Args:
        image: by `factor` smaller than the one that the box is of.
        box: left, top, right and bottom.
        factor: 1, 2, 4 or 8.

    Returns:
        PIL image, `factor` times smaller than the box. Pixels lie where they do in the whole image
        even if the box begins between those of the smaller one.
    """
    if factor == 1:
        return image.crop(box)
    left, top, right, bottom = (side / factor for side in box)
    right, bottom = min(right, image.width), min(bottom, image.height)
    size = max(1, round(right - left)), max(1, round(bottom - top))
    return image.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
