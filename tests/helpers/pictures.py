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


def photo(width, height, seed=0):
    """A PIL image of smooth colours, as photos have them."""
    coarse = pixels(1, 6, seed)[0]
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def write_photos(folder, shapes, suffix="png", **options):
    """Writes photos of these (width, height) as 00.png and so on; gives the PIL images."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = [photo(*shape, seed) for seed, shape in enumerate(shapes)]
    for number, image in enumerate(photos):
        image.save(folder / f"{number:02}.{suffix}", **options)
    return photos
