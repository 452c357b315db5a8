"""A crop of a photo gets the colours that `augment` gives it, on its own and among others."""

import numpy as np
import pytest

from and_tf.data.augmentation.augment import augment, augment_others
from and_tf.data.augmentation.columns import GREY, ORDER, VALUES_PER_IMAGE
from and_tf.data.augmentation.crop_box import has_whole_crop, with_whole_crop
from and_tf.data.augmentation.on_host import augment_crops
from and_tf.data.augmentation.photo import augment_crop
from and_tf.data.settings import AugmentationSettings

SIZE = 12


def crops_and_noise(number, seed=0):
    generator = np.random.default_rng(seed)
    crops = generator.integers(0, 256, (number, SIZE, SIZE, 3), np.uint8)
    return crops, generator.random((number, VALUES_PER_IMAGE), np.float32)


def augmented(crops, noise, settings):
    out = np.full(crops.shape, np.nan, np.float32)
    for crop, values, place in zip(crops, noise, out, strict=True):
        augment_crop(crop, values, settings, place)
    return out


@pytest.mark.parametrize("strength", [0, 0.4, 1])
@pytest.mark.parametrize("grey", [0, 0.2, 1])
@pytest.mark.parametrize("flip", [False, True])
def test_it_equals_the_augmentation_of_a_batch(strength, grey, flip):
    settings = AugmentationSettings(image_size=SIZE, color_jitter=strength, grey=grey, flip=flip)
    crops, noise = crops_and_noise(96)
    noise[:, ORDER] = np.arange(96) / 96  # each order of the jitter four times
    noise[:, GREY] = np.arange(96) % 5 / 5
    expected = augment(crops, with_whole_crop(noise), settings).numpy()
    np.testing.assert_allclose(augmented(crops, noise, settings), expected, atol=2e-3)


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (9, 9, 9), (255, 0, 0), (7, 7, 3)])
def test_pixels_at_the_edges_of_hue_and_range(color):
    settings = AugmentationSettings(image_size=SIZE)
    crops, noise = crops_and_noise(48)
    crops[:] = color
    noise[:, ORDER] = np.arange(48) / 48
    expected = augment(crops, with_whole_crop(noise), settings).numpy()
    np.testing.assert_allclose(augmented(crops, noise, settings), expected, atol=2e-3)


def test_an_image_does_not_depend_on_the_others():
    settings = AugmentationSettings(image_size=SIZE, flip=True)
    crops, noise = crops_and_noise(9)
    together = augmented(crops, noise, settings)
    for row in range(9):
        alone = augmented(crops[row : row + 1], noise[row : row + 1], settings)
        np.testing.assert_array_equal(alone[0], together[row])


@pytest.mark.parametrize("views", [None, 2])
def test_crops_and_whole_images_may_be_mixed(views):
    settings = AugmentationSettings(image_size=SIZE)
    images, noise = crops_and_noise(16)
    noise[::2] = with_whole_crop(noise[::2])
    if views:
        images, noise = images.reshape(8, 2, SIZE, SIZE, 3), noise.reshape(8, 2, -1)
    begun = augment_crops(images, noise, settings)
    found = augment_others(begun, noise, settings).numpy()
    expected = augment(images, noise, settings).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)
    whole = ~has_whole_crop(noise)
    np.testing.assert_array_equal(begun[whole], images[whole])
    np.testing.assert_array_equal(found[whole], expected[whole])


def test_the_numbers_drawn_for_a_crop_are_no_whole_crop():
    _, noise = crops_and_noise(1000)
    assert not has_whole_crop(noise).any() and has_whole_crop(with_whole_crop(noise)).all()
