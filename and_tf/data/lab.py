"""Conversion between sRGB and CIE Lab, for the white point D65 and the 2-degree observer."""

from typing import Any

import numpy as np
from keras import ops

WHITE = (0.95047, 1.0, 1.08883)  # XYZ
TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_FROM_RED, _FROM_GREEN, _FROM_BLUE = (TO_XYZ / np.array(WHITE)[:, None]).T.tolist()

# Where the power law meets the line that replaces it near black.
LINEAR_BELOW = 0.04045  # of sRGB
CUBE_ROOT_FROM, SLOPE, OFFSET = 0.008856, 7.787, 16 / 116  # of Lab


def lab_from_rgb(images: Any) -> Any:
    """Converts sRGB colours to Lab.

    Only with elementwise operations: a matrix product on a GPU in TensorFloat-32 would round its
    factors to 11 significant bits.

    Args:
        images: (..., 3) float32 in 0..255: an array, a tensor or a keras tensor.

    Returns:
        (..., 3) float32, L in 0..100, a and b within -108..99: a tensor or a keras tensor.
    """
    encoded = ops.clip(images / 255.0, 0.0, 1.0)  # (..., 3)
    power = ops.power((encoded + 0.055) / 1.055, 2.4)
    linear = ops.where(encoded > LINEAR_BELOW, power, encoded / 12.92)
    red, green, blue = ops.split(linear, 3, axis=-1)  # (..., 1) each
    f_x, f_y, f_z = (
        _response(red * of_red + green * of_green + blue * of_blue)  # (..., 1)
        for of_red, of_green, of_blue in zip(_FROM_RED, _FROM_GREEN, _FROM_BLUE, strict=True)
    )
    parts = [116.0 * f_y - 16.0, 500.0 * (f_x - f_y), 200.0 * (f_y - f_z)]
    return ops.concatenate(parts, axis=-1)


def _response(relative: Any) -> Any:
    """The cube root of a relative X, Y or Z, replaced by a line near black."""
    root = ops.power(ops.maximum(relative, CUBE_ROOT_FROM), 1 / 3)  # its gradient stays finite
    return ops.where(relative > CUBE_ROOT_FROM, root, SLOPE * relative + OFFSET)


def rgb_from_lab(lab: np.ndarray) -> np.ndarray:
    """Converts Lab to sRGB; colours outside sRGB are clipped.

    Args:
        lab: (..., 3) float.

    Returns:
        (..., 3) float64 in 0..255.
    """
    lightness, a, b = np.moveaxis(np.asarray(lab, np.float64), -1, 0)
    f_y = (lightness + 16) / 116
    responses = np.stack([f_y + a / 500, f_y, f_y - b / 200], axis=-1)  # (..., 3)
    is_root = responses > CUBE_ROOT_FROM ** (1 / 3)
    relative = np.where(is_root, responses**3, (responses - OFFSET) / SLOPE)
    linear = np.clip(relative * WHITE @ np.linalg.inv(TO_XYZ).T, 0, 1)
    is_power = linear > LINEAR_BELOW / 12.92
    encoded = np.where(is_power, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.clip(255 * encoded, 0, 255)
