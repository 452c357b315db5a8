"""The technical quality of each photo: sharpness, brightness, contrast, shape, size."""

import dataclasses

import numpy as np

from and_tf.collection.pictures import Pictures

# Each flag marks what a person would notice at a glance; the measurements show the rest.
BLURRED = 0.35  # sharpness: at least 0.42 in 1,000 photos, at most 0.29 in blurred ones
DARK, BRIGHT = 0.12, 0.93  # brightness
LOW_CONTRAST = 0.05  # standard deviation of the grey levels
ODD_ASPECT = 2.5  # long side over short side: beyond 21:9
TINY = 64  # pixels of the shorter side

# The measurement on which a flag is based, and whether its highest (1) or lowest (-1) is extreme.
MEASURED_BY = {
    "blurred": ("sharpness", -1),
    "dark": ("brightness", -1),
    "bright": ("brightness", 1),
    "low_contrast": ("contrast", -1),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Quality:
    """Measurements of N images, and flags for the remarkable ones.

    Attributes:
        measurements: (N,) float32 by name: `sharpness`, `brightness`, `contrast`, `aspect` (width
            over height); `width` and `height` in pixels, int32.
        flags: (N,) bool by name: `blurred`, `dark`, `bright`, `low_contrast`, `odd_aspect`, `tiny`.
    """

    measurements: dict[str, np.ndarray]
    flags: dict[str, np.ndarray]

    def texts(self) -> list[str]:
        """N strings: the names of an image's flags, separated by commas; empty for most."""
        names = list(self.flags)
        table = np.stack([self.flags[name] for name in names], axis=1)  # (N, flags)
        return [", ".join(np.array(names)[row]) for row in table]


def measure_quality(pictures: Pictures) -> Quality:
    """Measurements and flags of images.

    An image without contrast is neither sharp nor blurred: it is flagged only for its contrast.
    """
    height, width = pictures.shapes.T
    aspect = pictures.aspects.astype(np.float32)
    is_flat = pictures.contrast < LOW_CONTRAST
    return Quality(
        {
            "width": width,
            "height": height,
            "aspect": aspect,
            "sharpness": pictures.sharpness,
            "brightness": pictures.brightness,
            "contrast": pictures.contrast,
        },
        {
            "blurred": (pictures.sharpness < BLURRED) & ~is_flat,
            "dark": pictures.brightness < DARK,
            "bright": pictures.brightness > BRIGHT,
            "low_contrast": is_flat,
            "odd_aspect": np.maximum(aspect, 1 / np.maximum(aspect, 1e-6)) > ODD_ASPECT,
            "tiny": pictures.shapes.min(axis=1, initial=2**31 - 1) < TINY,
        },
    )


def by_severity(quality: Quality, name: str) -> np.ndarray:
    """(m,) int, the photos with a flag, the most remarkable first."""
    flagged = np.flatnonzero(quality.flags[name])
    values = _severity(quality, name)
    return flagged if values is None else flagged[np.argsort(-values[flagged], kind="stable")]


def _severity(quality: Quality, name: str) -> np.ndarray | None:
    """(N,) float, larger for the more remarkable; None if the flag's measurement is not known."""
    measured = quality.measurements
    if name == "tiny" and {"width", "height"} <= set(measured):
        return -np.minimum(measured["width"], measured["height"])
    if name == "odd_aspect" and "aspect" in measured:
        return np.abs(np.log(np.maximum(measured["aspect"], 1e-6)))
    key, sign = MEASURED_BY.get(name, ("", 1))
    return sign * measured[key] if key in measured else None
