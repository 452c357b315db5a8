"""Passes over a source change no image."""

import numpy as np
import pytest
from and_tf.data.passes import cached, channel_statistics
from helpers.pictures import pixels, write_images

from and_tf.data import passes
from and_tf.data.sources.opening import open_source
from and_tf.data.sources.source import ArraySource, array_source


@pytest.fixture(params=["array", "encoded"])
def source(request, tmp_path):
    if request.param == "array":
        return array_source(pixels(7, side=12), labels=np.arange(7) % 2)
    write_images(tmp_path, [f"{i % 2}/{i}.png" for i in range(7)], side=12)
    return open_source(f"folder:{tmp_path}")


@pytest.mark.parametrize("size", [12, 5, 20])
def test_cached_equals_uncached(source, size):
    held = cached(source, size)
    assert isinstance(held, ArraySource) and held.images.shape == (7, size, size, 3)
    np.testing.assert_array_equal(held.load([6, 1, 1], size), source.load([6, 1, 1], size))
    np.testing.assert_array_equal(held.labels, source.labels)
    assert held.fingerprint == source.fingerprint and held.names == source.names
    assert held.take([0, 1]).fingerprint not in (held.fingerprint, held.take([1, 0]).fingerprint)


def test_cache_respects_its_budget(source):
    needed = 7 * 5 * 5 * 3
    assert cached(source, 5, budget_bytes=needed - 1) is source
    assert cached(source, 5, budget_bytes=needed) is not source


@pytest.mark.parametrize("batch_bytes", [1, 1000, 1 << 20])
def test_statistics_are_those_of_all_pixels(monkeypatch, batch_bytes):
    scale = np.array([255, 90, 20])
    images = (pixels(9) / 255 * scale).astype(np.uint8)
    images[4] //= 3  # images differ in their means: the mean of their deviations would be wrong
    monkeypatch.setattr(passes._batches, "__defaults__", (batch_bytes,))
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
