"""What the tests of this folder share: random pixels, image files, the text of an error."""

import numpy as np
import pytest
from PIL import Image


def pixels(count, side=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def write_images(folder, names, seed=0, side=8):
    """Writes losslessly whatever the name says; gives the pixels by name."""
    images = dict(zip(names, pixels(len(names), side, seed), strict=True))
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        file_format = "BMP" if name.lower().endswith("bmp") else "PNG"
        Image.fromarray(image).save(folder / name, file_format)
    return images


def error_of(call, *args, **kwargs):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)
