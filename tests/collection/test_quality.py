"""Flags of quality: each case is flagged, and an ordinary photo is not."""

import numpy as np
import pytest
from helpers.edited_photos import scene
from PIL import Image, ImageFilter

from and_tf.collection.pictures import read_pictures
from and_tf.collection.quality import measure_quality
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.source import array_source

CASES = {
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
    "dark": lambda image: image.point(lambda value: value // 8),
    "bright": lambda image: image.point(lambda value: 240 + value // 17),
    "low_contrast": lambda image: image.point(lambda value: 120 + value // 20),
    "odd_aspect": lambda image: image.resize((160, 40)).resize((400, 100)),
    "tiny": lambda image: image.resize((30, 40)),
}


def measured(folder, image):
    folder.mkdir()
    image.save(folder / "a.png")
    return measure_quality(read_pictures(open_folder(folder)))


@pytest.mark.parametrize("name", CASES)
def test_each_flaw_is_flagged(tmp_path, name):
    found = measured(tmp_path / "photos", CASES[name](scene(0)))
    assert found.flags[name].tolist() == [True] and name in found.texts()[0]


def test_an_ordinary_photo_has_no_flag(tmp_path):
    found = measured(tmp_path / "photos", scene(0))
    assert found.texts() == [""]
    values = found.measurements
    assert (values["width"][0], values["height"][0], values["aspect"][0]) == (120, 160, 0.75)
    assert 0.2 < values["brightness"][0] < 0.8 and values["sharpness"][0] > 0.4


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_sharpness_falls_with_blur_and_not_with_content(tmp_path, radius):
    images = [scene(seed) for seed in range(6)]
    blurred = [image.filter(ImageFilter.GaussianBlur(radius)) for image in images]
    images = np.array([np.asarray(image) for image in images + blurred])
    found = read_pictures(array_source(images)).sharpness
    assert found[:6].min() > found[6:].max()


def test_a_picture_of_one_colour_is_not_called_blurred(tmp_path):
    found = measured(tmp_path / "photos", Image.new("RGB", (100, 100), (90, 90, 90)))
    assert found.texts() == ["low_contrast"]


def test_an_upright_photo_is_measured_as_it_is_shown(tmp_path):
    image = scene(0)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    (tmp_path / "photos").mkdir()
    image.save(tmp_path / "photos" / "a.jpg", exif=exif)
    found = measure_quality(read_pictures(open_folder(tmp_path / "photos")))
    assert (found.measurements["width"][0], found.measurements["height"][0]) == (160, 120)
