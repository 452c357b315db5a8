"""Mean and standard deviation of the channels."""

import numpy as np
import pytest
from helpers.pictures import pixels
from helpers.replicas_in_threads import on_each

from and_tf.data import subsets
from and_tf.data.sources.arrays import array_source
from and_tf.data.statistics import channel_statistics


@pytest.mark.parametrize("batch_bytes", [1, 1000, 1 << 20])
def test_statistics_are_those_of_all_pixels(monkeypatch, batch_bytes):
    scale = np.array([255, 90, 20])
    images = (pixels(9) / 255 * scale).astype(np.uint8)
    images[4] //= (
        3  # images differ in their means: the mean of their standard deviations would be wrong
    )
    monkeypatch.setattr(subsets, "BATCH_BYTES", batch_bytes)
    mean, std = channel_statistics(array_source(images), 8)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, images.std(axis=(0, 1, 2)), rtol=1e-9)


def test_statistics_of_a_constant_channel_can_be_divided_by():
    mean, std = channel_statistics(array_source(np.full((3, 4, 4), 255, np.uint8)), 4)
    np.testing.assert_allclose(mean, 255)
    np.testing.assert_allclose(std, 1)


def test_statistics_of_a_large_source_come_from_a_spread_sample():
    images = np.repeat(np.arange(101, dtype=np.uint8), 16).reshape(101, 4, 4)
    mean, _ = channel_statistics(array_source(images), 4, max_images=11)
    np.testing.assert_allclose(mean, 50)


@pytest.mark.parametrize("size", [2, 4])
def test_processes_that_share_the_images_find_the_very_same(size):
    source = array_source(pixels(3))  # fewer than 4
    alone = channel_statistics(source, 8)
    found, _ = on_each(size, lambda replica: channel_statistics(source, 8, sharing=replica))
    for of_process in found:
        np.testing.assert_array_equal(of_process, alone)
