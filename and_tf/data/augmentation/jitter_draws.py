"""The amounts of colour jitter that an image's random numbers give, for NumPy and TensorFlow."""

import itertools
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from and_tf.data.augmentation.columns import BRIGHTNESS, HUE, SATURATION

if TYPE_CHECKING:
    import tensorflow as tf

Numbers = TypeVar("Numbers", np.ndarray, "tf.Tensor")

GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R 601; they sum to 1, so that grey stays grey

# The operations of the jitter and their 24 possible orders: ORDERS[r, place] is an operation.
ADJUST_BRIGHTNESS, ADJUST_CONTRAST, ADJUST_SATURATION, SHIFT_HUE = range(4)
ORDERS = np.array(list(itertools.permutations(range(4))), "int32")  # (24, 4)


def jitter_amounts(noise: Numbers, strength: float) -> tuple[Numbers, Numbers]:
    """Factors (B, 3) of brightness, contrast and saturation, and hue shifts (B,) in turns.

    Args:
        noise: (B, VALUES_PER_IMAGE) float32, array or tensor; the results are of the same kind.
        strength: of the jitter.
    """
    smallest, largest = max(0.0, 1.0 - strength), 1.0 + strength
    factors = smallest + (largest - smallest) * noise[:, BRIGHTNESS : SATURATION + 1]
    hue = min(strength, 0.5)
    return factors, hue * (2.0 * noise[:, HUE] - 1.0)
