import numpy as np
import pytest

from and_tf.data.picture import grid
from and_tf.errors import UserError


def images(count, size):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), "uint8")


def test_each_tile_is_its_image_and_the_rest_is_white():
    tiles = images(count=5, size=32)
    canvas = np.asarray(grid(tiles, columns=3, gap=2))
    assert canvas.shape == (2 * 64 + 2, 3 * 64 + 2 * 2, 3)
    for number, (top, left) in enumerate([(0, 0), (0, 66), (0, 132), (66, 0), (66, 66)]):
        shown = canvas[top : top + 64, left : left + 64]
        np.testing.assert_array_equal(shown, tiles[number].repeat(2, axis=0).repeat(2, axis=1))
    assert (canvas[64:66] == 255).all() and (canvas[:, 64:66] == 255).all()
    assert (canvas[66:, 132:] == 255).all()  # the empty place


@pytest.mark.parametrize(("size", "tile"), [(1, 64), (28, 84), (64, 64), (100, 100)])
def test_small_images_are_enlarged_to_at_least_64_pixels(size, tile):
    assert grid(images(count=1, size=size)).size == (tile, tile)


def test_a_scale_that_is_given_is_kept():
    assert grid(images(count=2, size=10), scale=1).size == (10 + 2 + 10, 10)


def test_float_images_are_rounded_and_clipped():
    image = np.array([[[[-3.0, 99.6, 300.0]]]], "float32")
    assert np.asarray(grid(image))[0, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (2, 8, 8, 1)])
def test_what_is_not_a_batch_of_colour_images_is_refused(shape):
    with pytest.raises(UserError, match="Received"):
        grid(np.zeros(shape, "uint8"))
