"""Split-Brain's loss, compared with a loop over places."""

import math

import numpy as np
import pytest
import tensorflow as tf
from skimage import color

from and_tf.methods.split_brain.bins import colour_bins
from and_tf.methods.split_brain.loss import area_means, split_brain_losses

Q = 261


def naive_means(image, rows, columns):
    """By pixels cut into many parts of equal size, so that each part is in one mean."""
    height, width, channels = image.shape
    fine = np.repeat(np.repeat(image, rows, axis=0), columns, axis=1)
    return np.array(
        [
            [
                fine[r * height : (r + 1) * height, c * width : (c + 1) * width].mean(axis=(0, 1))
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    ).reshape(rows, columns, channels)


def naive_loss(colour_logits, lightness_logits, lab):
    """Of one image."""
    rows, columns, _ = colour_logits.shape
    reduced = naive_means(lab, rows, columns)
    bins = [tuple(each) for each in colour_bins()]
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            lightness, a, b = reduced[row, column]
            cell = np.array([10 * round(a / 10), 10 * round(b / 10)])
            colour = min(range(Q), key=lambda q: ((cell - bins[q]) ** 2).sum())
            for logits, target in (
                (colour_logits[row, column], colour),
                (lightness_logits[row, column], min(99, math.floor(lightness))),
            ):
                logits = logits.astype("float64")
                total += np.log(np.exp(logits).sum()) - logits[target]
    return total / (rows * columns)


@pytest.mark.parametrize(("side", "places"), [(8, 4), (8, 8), (13, 5), (12, 1)])
def test_loss_is_that_of_a_loop_over_places(side, places):
    rng = np.random.default_rng(side)
    images = rng.integers(0, 256, (3, side, side, 3)).astype("uint8")
    lab = color.rgb2lab(images).astype("float32")
    colour = 3 * rng.standard_normal((3, places, places, Q)).astype("float32")
    lightness = 3 * rng.standard_normal((3, places, places, 100)).astype("float32")
    expected = [naive_loss(*each) for each in zip(colour, lightness, lab, strict=True)]
    found = split_brain_losses(*map(tf.constant, (colour, lightness, lab)))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("places", [(4, 4), (3, 5), (7, 7), (1, 1), (6, 9)])
def test_area_means_are_means_over_equal_rectangles(places):
    images = np.random.default_rng(0).uniform(0, 1, (2, 7, 12, 3)).astype("float32")
    expected = [naive_means(image, *places) for image in images]
    np.testing.assert_allclose(area_means(tf.constant(images), places), expected, atol=1e-6)


@pytest.mark.parametrize("places", [(4, 4), (3, 5)])
def test_area_means_take_no_matrix_product_which_a_gpu_may_round(places):
    shape = tf.TensorSpec((None, 8, 12, 3))
    graph = tf.function(lambda images: area_means(images, places)).get_concrete_function(shape)
    kinds = {operation.type for operation in graph.graph.get_operations()}
    assert kinds and not any("MatMul" in kind or "Einsum" in kind for kind in kinds), kinds


def test_a_certain_and_right_prediction_costs_nothing():
    lab = tf.constant([[[[50.4, 0.0, 0.0]]]])
    (grey,) = np.flatnonzero((colour_bins() == 0).all(axis=1))
    colour = 100.0 * tf.one_hot([[[grey]]], Q)
    lightness = 100.0 * tf.one_hot([[[50]]], 100)
    np.testing.assert_allclose(split_brain_losses(colour, lightness, lab), [0.0], atol=1e-6)


def test_a_prediction_of_nothing_costs_the_logarithms_of_the_numbers_of_bins():
    lab = tf.constant(np.random.default_rng(0).uniform(0, 90, (2, 8, 8, 3)), tf.float32)
    found = split_brain_losses(tf.zeros((2, 4, 4, Q)), tf.zeros((2, 4, 4, 100)), lab)
    np.testing.assert_allclose(found, [math.log(Q) + math.log(100)] * 2, rtol=1e-6)


def test_loss_of_half_precision_logits_is_taken_in_float32():
    lab = tf.constant(np.random.default_rng(0).uniform(0, 90, (2, 8, 8, 3)), tf.float32)
    logits = [tf.cast(tf.random.normal((2, 4, 4, n), seed=1), tf.bfloat16) for n in (Q, 100)]
    found = split_brain_losses(*logits, lab)
    expected = split_brain_losses(*(tf.cast(each, tf.float32) for each in logits), lab)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, expected)
