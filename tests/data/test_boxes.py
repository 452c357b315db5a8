"""Crops to bounding boxes: the very pixels of Pillow's crop, then everything as without a box."""

import numpy as np
import pytest
from helpers.pictures import photo, write_photos
from PIL import Image

from and_tf.data.augmentation.noise import augmentation_noise
from and_tf.data.boxes import pixel_box
from and_tf.data.cache import cached
from and_tf.data.decode import load_image, load_square
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.opening import open_source

SHAPES = [(300, 200), (120, 410), (97, 96), (64, 64)]
BOXES = [(31, 7, 290, 200), (0, 100, 119, 300), (1, 0, 97, 96), (10, 20, 50, 60)]  # left, top, ...
SIZE = 48


@pytest.fixture
def boxed_and_cropped(tmp_path):
    """A list with boxes, and a folder of the same photos that Pillow has cropped."""
    photos = write_photos(tmp_path / "whole", SHAPES)
    (tmp_path / "cropped").mkdir()
    lines = ["path,xmin,ymin,xmax,ymax"]
    for number, (image, box) in enumerate(zip(photos, BOXES, strict=True)):
        image.crop(box).save(tmp_path / f"cropped/{number:02}.png")
        lines.append(f"whole/{number:02}.png,{','.join(map(str, box))}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    boxed = open_source(f"list:{tmp_path}/list.csv", crop_to_box=True)
    return boxed, open_source(f"folder:{tmp_path}/cropped")


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_an_image_with_a_box_is_the_image_that_pillow_crops(boxed_and_cropped, cache_bytes):
    boxed, cropped = (cached(source, SIZE, cache_bytes) for source in boxed_and_cropped)
    rows = np.arange(len(SHAPES))
    np.testing.assert_array_equal(boxed.load(rows, SIZE), cropped.load(rows, SIZE))
    settings = AugmentationSettings(image_size=SIZE)
    noise = augmentation_noise(len(rows), 1, 0).numpy()
    for _ in range(2):  # the second time from what was kept
        for found, expected in zip(
            boxed.load_crops(rows, noise, settings),
            cropped.load_crops(rows, noise, settings),
            strict=True,
        ):
            np.testing.assert_array_equal(found, expected)
    part, twin = boxed.take([2, 0]), cropped.take([2, 0])
    np.testing.assert_array_equal(part.load([0, 1], 32), twin.load([0, 1], 32))


@pytest.mark.parametrize(
    "corner", [(200, 120), (203, 125)]
)  # of the grid of 8 pixels, or beside it
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_jpeg_that_is_decoded_smaller_keeps_the_place_of_the_box(tmp_path, corner, factor):
    x, y = np.meshgrid(np.linspace(0, 255, 1200), np.linspace(0, 255, 900))
    ramp = Image.fromarray(np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8))
    ramp.save(tmp_path / "1.jpg", quality=97, exif=b"")
    left, top = corner
    box = np.array([top / 900, left / 1200, (top + 640) / 900, (left + 800) / 1200])
    found = load_image(tmp_path / "1.jpg", lambda height, width: factor, box)
    assert found.size == (800 // factor, 640 // factor)
    cropped = ramp.crop((left, top, left + 800, top + 640))
    expected = cropped.resize(found.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(found).astype(int) - np.asarray(expected)).mean() < 1.0
    size = 320 // factor
    expected = load_square(_encoded(cropped), size).astype(int)
    assert np.abs(load_square(tmp_path / "1.jpg", size, box) - expected).mean() < 1.0


def _encoded(image):
    import io

    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_box_is_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = photo(60, 40)
    image.save(tmp_path / "1.png", exif=exif)
    upright = image.transpose(Image.Transpose.ROTATE_270)  # 40 wide, 60 high
    box = np.array([10 / 60, 5 / 40, 50 / 60, 25 / 40])
    found = load_image(tmp_path / "1.png", box=box)
    np.testing.assert_array_equal(found, upright.crop((5, 10, 25, 50)))


def test_a_box_has_a_pixel_at_least():
    assert pixel_box(np.array([1.0, 0.5, 1.0, 0.5]), 10, 20) == (10, 9, 11, 10)
    assert pixel_box(np.array([-0.1, 0.0, 1.2, 1.0]), 10, 20) == (0, 0, 20, 10)
