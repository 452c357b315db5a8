"""Exports resize as evaluation does, with Pillow."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from and_tf.export import resize_and_crop


def centre_square(image, side):
    """The centre square of an image (H, W, 3), resized by Pillow in one resampling."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    left, top = (width - shorter) / 2, (height - shorter) / 2
    box = (left, top, left + shorter, top + shorter)
    bilinear = Image.Resampling.BILINEAR  # antialiased where it makes smaller
    return np.asarray(Image.fromarray(image).resize((side, side), bilinear, box=box))


@pytest.mark.parametrize(
    ("height", "width"),
    [(96, 96), (97, 96), (97, 131), (50, 71), (300, 201), (480, 641), (31, 200), (1, 900)],
)
def test_the_centre_square_is_pillows_within_one_of_255(height, width):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 17, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    image = np.clip(smooth + rng.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8)
    expected = centre_square(image, 96).astype(int)
    for found in (
        resize_and_crop(tf.constant(image), 96),
        resize_and_crop(tf.constant(image[None]), 96)[0],
        tf.function(lambda images: resize_and_crop(images, 96))(image[None])[0],
    ):
        assert found.dtype == tf.uint8
        assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_images_of_the_encoders_size_pass_unchanged():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_and_crop(tf.constant(images), 32), images)
