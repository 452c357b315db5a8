"""How good each photo is as a picture: sharpness, light, contrast, shape, size."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Quality:
    """Measurements of N images, and which of them are remarkable.

    Attributes:
        measurements: (N,) float32 by name: `sharpness`, `brightness`, `contrast`, `aspect`;
            `width` and `height` in pixels.
        flags: (N,) bool by name: `blurred`, `dark`, `bright`, `low_contrast`, `odd_aspect`, `tiny`.
    """

    measurements: dict[str, np.ndarray]
    flags: dict[str, np.ndarray]
