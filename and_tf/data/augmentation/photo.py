"""Flip, colour jitter and greyscale of one photo, in NumPy for the threads that load photos.

The arithmetic is that of `color`, up to rounding. There each step processes all images of a batch
together, which suits small images. The planes of a photo fill a core's cache, so here one photo
goes through all its steps before the next.
"""

import threading

import numpy as np

from and_tf.data.augmentation.columns import FLIP, GREY, ORDER
from and_tf.data.augmentation.jitter_draws import (
    ADJUST_CONTRAST,
    ADJUST_SATURATION,
    GREY_WEIGHTS,
    ORDERS,
    SHIFT_HUE,
    jitter_amounts,
)
from and_tf.data.settings import AugmentationSettings

TINY = np.float32(1e-30)  # in place of a chroma of 0, so that 0 / chroma is 0


def augment_crop(
    crop: np.ndarray, noise: np.ndarray, settings: AugmentationSettings, out: np.ndarray
) -> None:
    """Applies to a random crop what `augment` does after cropping.

    Args:
        crop: (S, S, 3) uint8.
        noise: (VALUES_PER_IMAGE,) float32, the random numbers of the image.
        settings: all are used but the size and area of the crop.
        out: (S, S, 3) float32, takes the result, in 0..255 and not rounded.
    """
    if settings.flip and noise[FLIP] < 0.5:
        crop = crop[:, ::-1]
    planes, free = _workspace(*crop.shape[:2])
    for channel, plane in enumerate(planes):
        plane[:] = crop[..., channel]
    if settings.color_jitter > 0:
        _jitter(planes, noise, settings.color_jitter, free)
    is_grey = settings.grey > 0 and noise[GREY] < settings.grey
    grey = _grey(planes, free) if is_grey else None
    for channel, plane in enumerate(planes):
        out[..., channel] = plane if grey is None else grey


_kept = threading.local()


def _workspace(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """This thread's planes (3, H, W) and scratch planes (4, H, W): new memory costs page faults."""
    planes = getattr(_kept, "planes", None)
    if planes is None or planes.shape[1:] != (height, width):
        planes = _kept.planes = np.empty((7, height, width), np.float32)
    return planes[:3], planes[3:]


def _jitter(planes: np.ndarray, noise: np.ndarray, strength: float, free: np.ndarray) -> None:
    """Jitters brightness, contrast, saturation and hue of (3, H, W), in place, in its own order."""
    (factors,), (shift,) = jitter_amounts(noise[None], strength)
    order = min(int(noise[ORDER] * np.float32(len(ORDERS))), len(ORDERS) - 1)
    for operation in ORDERS[order]:
        if operation == SHIFT_HUE:
            _shift_hue(planes, shift, free)
        else:
            _blend(planes, operation, factors[operation], free)


def _blend(planes: np.ndarray, operation: int, factor: np.float32, free: np.ndarray) -> None:
    """factor * colour + (1 - factor) * blend, clipped; see `color.affine_step`."""
    rest = 1 - factor
    blend: np.ndarray | np.float32 = np.float32(0)
    if operation == ADJUST_CONTRAST:
        blend = rest * np.dot(planes.mean(axis=(1, 2)), np.array(GREY_WEIGHTS, np.float32))
    elif operation == ADJUST_SATURATION:
        blend = np.multiply(rest, _grey(planes, free), out=free[0])
    planes *= factor
    planes += blend
    np.clip(planes, 0, 255, out=planes)


def _grey(planes: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The grey (H, W) of (3, H, W), in the first of the scratch planes."""
    grey, part = free[:2]
    np.multiply(planes[0], GREY_WEIGHTS[0], out=grey)
    for channel in (1, 2):
        grey += np.multiply(planes[channel], GREY_WEIGHTS[channel], out=part)
    return grey


def _shift_hue(planes: np.ndarray, shift: np.float32, free: np.ndarray) -> None:
    """Rotates the HSV hue of (3, H, W) by `shift` turns, in place; keeps saturation and value."""
    red, green, blue = planes
    value, chroma, hue, part = free
    np.maximum(np.maximum(red, green, out=value), blue, out=value)
    np.minimum(np.minimum(red, green, out=chroma), blue, out=chroma)
    np.maximum(np.subtract(value, chroma, out=chroma), TINY, out=chroma)
    _hue(planes, value, chroma, hue, part)
    hue += 6 * shift
    hue -= np.multiply(6, np.floor(np.multiply(hue, 1 / 6, out=part), out=part), out=part)  # 0..6
    # A channel falls from the value by 0 to 1 chroma, as a trapezium over the turn: red falls most
    # at 3 sixths, green and blue least at 2 and 4.
    for plane, middle in ((red, 3), (green, 2), (blue, 4)):
        np.abs(np.subtract(hue, middle, out=part), out=part)
        np.subtract(2, part, out=part) if plane is red else np.subtract(part, 1, out=part)
        np.multiply(np.clip(part, 0, 1, out=part), chroma, out=part)
        np.subtract(value, part, out=plane)


def _hue(
    planes: np.ndarray, value: np.ndarray, chroma: np.ndarray, hue: np.ndarray, part: np.ndarray
) -> None:
    """Hue in sixths of a turn, -1 to 5, of each pixel; that of grey pixels is arbitrary."""
    red, green, blue = planes
    np.divide(np.subtract(red, green, out=hue), chroma, out=hue)
    hue += 4
    for largest, first, second, sector in ((green, blue, red, 2), (red, green, blue, 0)):
        np.divide(np.subtract(first, second, out=part), chroma, out=part)
        part += sector
        np.copyto(hue, part, where=value == largest)
