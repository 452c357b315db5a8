"""Bounding boxes around the object that an image is about."""

from __future__ import annotations

import numpy as np
from PIL import Image


def pixel_box(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """A box in whole pixels, at least one pixel high and wide.

    Args:
        box: (4,) float, ymin, xmin, ymax, xmax as fractions of the upright image.
        height, width: of that image in pixels.

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
    """(N, 2) int32: height and width in pixels of boxes (N, 4) in images of shapes (N, 2)."""
    found = [
        (bottom - top, right - left) if height else (0, 0)
        for box, (height, width) in zip(boxes, shapes.tolist(), strict=True)
        for left, top, right, bottom in [pixel_box(box, height or 1, width or 1)]
    ]
    return np.array(found, np.int32).reshape(-1, 2)


def crop_reduced(image: Image.Image, box: tuple[int, int, int, int], factor: int) -> Image.Image:
    """Cuts a box from an image that was decoded at a reduced size.

    Args:
        image: reduced by `factor`.
        box: left, top, right and bottom in pixels of the full size.
        factor: 1, 2, 4 or 8.

    Returns:
        PIL image, `factor` times smaller than the box. Its content is not shifted even if the box
        begins between two pixels of the reduced image.
    """
    if factor == 1:
        return image.crop(box)
    left, top, right, bottom = (side / factor for side in box)
    right, bottom = min(right, image.width), min(bottom, image.height)
    size = max(1, round(right - left)), max(1, round(bottom - top))
    return image.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
