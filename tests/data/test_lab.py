"""Colours in CIE Lab, compared with scikit-image."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from skimage import color

from and_tf.data.lab import lab_from_rgb, rgb_from_lab


def colours():
    """(n, 3) uint8: all greys, a lattice over the cube with its surface, and others at random."""
    steps = np.r_[0:256:15, 1, 2, 3, 5, 8, 9, 10, 11, 12, 254]
    lattice = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    greys = np.repeat(np.arange(256)[:, None], 3, axis=1)
    others = np.random.default_rng(0).integers(0, 256, (20_000, 3))
    return np.concatenate([lattice, greys, others]).astype(np.uint8)


def expected_lab(rgb):
    return color.rgb2lab(rgb.astype("float64") / 255, illuminant="D65", observer="2")


def test_lab_is_that_of_scikit_image():
    rgb = colours()
    found = lab_from_rgb(rgb.astype("float32"))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected_lab(rgb), atol=1e-4, rtol=0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_lab_is_the_same_within_a_functional_model_compiled_or_not(jit_compile):
    rgb = colours()[:20_000].reshape(20, 25, 40, 3)
    images = keras.Input((25, 40, 3))
    model = keras.Model(images, lab_from_rgb(images))
    compiled = tf.function(lambda x: model(x, training=False), jit_compile=jit_compile)
    found = compiled(tf.constant(rgb, tf.float32))
    np.testing.assert_allclose(found, expected_lab(rgb), atol=3e-4, rtol=0)


def test_values_outside_of_0_to_255_are_clipped():
    outside = np.array([[-3.0, 300.0, 128.0]], "float32")
    np.testing.assert_array_equal(
        lab_from_rgb(outside), lab_from_rgb(np.array([[0.0, 255.0, 128.0]], "float32"))
    )


def test_black_has_a_finite_gradient():
    black = tf.zeros((1, 3))
    with tf.GradientTape() as tape:
        tape.watch(black)
        lab = lab_from_rgb(black)
    assert np.isfinite(tape.gradient(lab, black)).all()


def test_rgb_of_lab_is_the_colour_that_it_was_made_of():
    rgb = colours()
    np.testing.assert_allclose(rgb_from_lab(lab_from_rgb(rgb.astype("float32"))), rgb, atol=0.005)


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")  # of colours outside sRGB
def test_rgb_of_any_lab_is_that_of_scikit_image_clipped():
    rng = np.random.default_rng(1)
    lab = rng.uniform([0, -100, -100], [100, 100, 100], (5_000, 3))
    expected = 255 * color.lab2rgb(lab)
    linear_differs = np.abs(rgb_from_lab(lab) - expected).max(axis=1) > 0.05
    # scikit-image cuts a negative Z off before the matrix; such colours are outside sRGB anyway.
    f_z = (lab[:, 0] + 16) / 116 - lab[:, 2] / 200
    assert not linear_differs[f_z >= 0].any()
