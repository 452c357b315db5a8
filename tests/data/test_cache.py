"""What is kept in memory changes no image."""

import numpy as np
import pytest
from helpers.pictures import pixels, write_images

from and_tf.data.cache import cached, whole_images
from and_tf.data.sources.arrays import array_source
from and_tf.data.sources.opening import open_source


@pytest.fixture(params=["array", "encoded"])
def source(request, tmp_path):
    if request.param == "array":
        return array_source(pixels(7, side=12), labels=np.arange(7) % 2)
    write_images(tmp_path, [f"{i % 2}/{i}.png" for i in range(7)], side=12)
    return open_source(f"folder:{tmp_path}")


@pytest.mark.parametrize("size", [12, 5, 20])
def test_a_cached_source_is_the_source(source, size):
    held = cached(source, size)
    for asked in (size, 9):
        np.testing.assert_array_equal(held.load([6, 1, 1], asked), source.load([6, 1, 1], asked))
    np.testing.assert_array_equal(held.labels, source.labels)
    assert held.fingerprint == source.fingerprint and held.names == source.names
    part = held.take([4, 0])
    np.testing.assert_array_equal(part.load([0], size), source.load([4], size))
    assert part.fingerprint == source.take([4, 0]).fingerprint and len(part) == 2


def test_the_budget_is_kept_to(source):
    needed = 7 * 5 * 5 * 3
    assert cached(source, 5, budget_bytes=needed - 1) is source
    assert cached(source, 5, budget_bytes=needed) is not source


def test_originals_are_kept_up_to_the_rest_of_the_budget(tmp_path):
    from and_tf.data.augmentation.noise import augmentation_noise
    from and_tf.data.settings import AugmentationSettings

    write_images(tmp_path, [f"{i}.png" for i in range(7)], side=12)
    squares, original = 7 * 8 * 8 * 3, 12 * 12 * 3
    held = cached(open_source(f"folder:{tmp_path}"), 8, squares + 3 * original + 1)
    held.load_crops(np.arange(7), augmentation_noise(7, 0, 0).numpy(), AugmentationSettings(8))
    assert len(held.originals.images) == 3 and held.originals.bytes_left == 1


@pytest.mark.parametrize("size, is_whole", [(12, True), (20, True), (8, False)])
def test_small_squares_are_what_all_crops_are_cut_from(source, size, is_whole):
    held = whole_images(cached(source, size), size)
    assert (held is not None) == is_whole
    if is_whole:
        np.testing.assert_array_equal(held, source.load(np.arange(7), size))
    assert whole_images(cached(source, size, 0), size) is None or size == 12
