"""The classes of Split-Brain: bins of lightness, and of colour within sRGB."""

import numpy as np
import pytest
import tensorflow as tf
from skimage import color

from and_tf.methods.split_brain.bins import (
    LIGHTNESS_BINS,
    colour_bin_of,
    colour_bins,
    lightness_bin_of,
    lightness_bins,
)


def test_there_are_261_bins_on_multiples_of_10_each_once():
    bins = colour_bins()
    assert bins.shape == (261, 2) and bins.dtype == "float32"
    assert not (bins % 10).any()
    assert len(np.unique(bins, axis=0)) == len(bins)
    assert [0, 0] in bins.tolist()


def test_the_bins_are_those_that_any_colour_of_srgb_falls_into():
    steps = np.r_[0:256:5]  # 140,608 of the colours, the cube's corners with them
    rgb = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    ab = color.rgb2lab(rgb / 255)[:, 1:]
    hit = np.unique(10 * np.rint(ab / 10), axis=0)
    assert {tuple(each) for each in hit} <= {tuple(each) for each in colour_bins()}
    assert len(hit) > 250  # the others hold few colours


def test_no_colour_of_srgb_lies_in_the_first_bins_of_the_original():
    assert not {(-90.0, 50.0), (-90.0, 60.0)} & {tuple(each) for each in colour_bins()}


def test_a_colour_is_in_the_bin_whose_centre_is_nearest():
    ab = np.random.default_rng(0).uniform(-130, 130, (500, 2)).astype("float32")
    bins = colour_bins()
    cells = np.clip(10 * np.rint(ab / 10), -120, 120)
    is_own = (cells[:, None] == bins).all(axis=-1).any(axis=1)
    found = colour_bin_of(tf.constant(ab)).numpy()
    np.testing.assert_array_equal(bins[found[is_own]], cells[is_own])
    distances = np.square(cells[:, None] - bins).sum(axis=-1)  # outside of sRGB, of the cell
    assert is_own.any() and not is_own.all()
    np.testing.assert_array_equal(distances[np.arange(500), found], distances.min(axis=1))


def test_every_bin_is_its_own():
    np.testing.assert_array_equal(colour_bin_of(tf.constant(colour_bins())), np.arange(261))


@pytest.mark.parametrize(
    ("lightness", "expected"), [(0.0, 0), (0.99, 0), (1.0, 1), (57.3, 57), (99.99, 99), (100.0, 99)]
)
def test_lightness_has_100_bins_1_wide(lightness, expected):
    assert LIGHTNESS_BINS == len(lightness_bins()) == 100
    assert int(lightness_bin_of(tf.constant(lightness))) == expected
    assert abs(lightness_bins()[expected] - lightness) <= 0.51
