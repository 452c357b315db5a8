"""What a training step sees of one image, before flips and colours.

A crop is cut from the original photo, as in RandomResizedCrop, not from a thumbnail. The exception
is a square image of at most the training size S: it is enlarged to S x S and returned whole, and
`augmentation.crop` cuts all images of a batch at once, on floats. Crops of small images are small,
so cutting them at whole pixels of the original and rounding to 8 bits would be noticeable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from and_tf.data.augmentation.crop_box import Box, crop_box
from and_tf.data.decode import largest_reduction, square, with_image

if TYPE_CHECKING:
    from and_tf.data.settings import AugmentationSettings

MARGIN = 2  # a JPEG is decoded smaller as long as a crop keeps this multiple of its final size
UNREDUCED = 2 * MARGIN  # times the training size; below it no image is decoded smaller


class TrainingImage(NamedTuple):
    """An image of a step.

    Attributes:
        pixels: (S, S, 3) uint8, or (V, S, S, 3) for several views.
        is_cropped: whether they are random crops, rather than the whole image.
        original: the decoded image if every crop of it is cut from the same pixels, so that it may
            be kept in memory; else None.
    """

    pixels: np.ndarray
    is_cropped: bool
    original: Image.Image | None = None


def is_whole(height: int, width: int, size: int) -> bool:
    """Whether a training image is returned whole and cropped on floats later."""
    return height == width <= size


def training_image(
    item: str | bytes | np.ndarray,
    noise: np.ndarray,
    settings: AugmentationSettings,
    box: np.ndarray | None = None,
) -> TrainingImage:
    """The random crop of an image, or the whole image if it is small; see above.

    The image is decoded once for all views.

    Args:
        item: path, encoded bytes, or pixels (H, W, 3) uint8.
        noise: (VALUES_PER_IMAGE,) float32, or (V, VALUES_PER_IMAGE) for V views.
        settings: `image_size` and `crop_min_area` are used.
        box: (4,) float, the part of an image file that crops are cut from; see `boxes.pixel_box`.

    Raises:
        BrokenImage: if it cannot be decoded.
    """
    size = settings.image_size
    shape: tuple[int, int] = (0, 0)
    boxes: list[Box] = []

    def reduction(height: int, width: int) -> int:
        nonlocal shape, boxes
        shape, enlarged = (height, width), _enlarged(height, width, size)
        boxes = [crop_box(values, *enlarged, settings) for values in np.atleast_2d(noise)]
        smallest = min(min(box.height, box.width) for box in boxes)
        return largest_reduction(smallest / (MARGIN * size))

    def cut(image: Image.Image) -> TrainingImage:
        kept = image if min(shape) < UNREDUCED * size else None
        if is_whole(*shape, size):
            return TrainingImage(for_each_view(square(image, size), noise), False, kept)
        crops = np.stack([_cut(image, shape, box, size) for box in boxes])  # (V, S, S, 3)
        return TrainingImage(crops if noise.ndim == 2 else crops[0], True, kept)

    if isinstance(item, np.ndarray):
        reduction(*item.shape[:2])
        return cut(Image.fromarray(item))
    return with_image(item, cut, reduction, box)


def for_each_view(images: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Repeats whole images (..., S, S, 3) once for each view of their noise: (..., V, S, S, 3).

    They are returned as they are if the noise (..., VALUES_PER_IMAGE) is that of a single view.
    """
    shape = (*noise.shape[:-1], *images.shape[-3:])
    if images.shape == shape:
        return images
    return np.ascontiguousarray(np.broadcast_to(images[..., None, :, :, :], shape))


def _enlarged(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width once a shorter side below `size` is enlarged to it."""
    scale = max(1.0, size / min(height, width))
    return round(height * scale), round(width * scale)


def _cut(image: Image.Image, shape: tuple[int, int], box: Box, size: int) -> np.ndarray:
    """The box of an image, resized to (size, size, 3) uint8.

    Args:
        image: the original, or the same image decoded smaller.
        shape: height and width of the original.
        box: in pixels of the original, enlarged where it is small.
    """
    height, width = _enlarged(*shape, size)
    if (height, width) != shape:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    reduction = round(height / image.height)
    left, top = box.left / reduction, box.top / reduction
    right, bottom = left + box.width / reduction, top + box.height / reduction
    # Cropped to whole pixels first: a resize with a box would blend in pixels outside the box.
    outer = int(left), int(top), -int(-right // 1), -int(-bottom // 1)
    inner = left - outer[0], top - outer[1], right - outer[0], bottom - outer[1]
    resized = image.crop(outer).resize((size, size), Image.Resampling.BILINEAR, box=inner)
    return np.asarray(resized)
