"""Images rebuilt from what both halves of an encoder predict."""

import numpy as np
import pytest
import tensorflow as tf
from skimage import color

from and_tf.encoders.build import build_encoder
from and_tf.methods.split_brain.bins import colour_bin_of, colour_bins, lightness_bin_of
from and_tf.methods.split_brain.loss import area_means
from and_tf.methods.split_brain.method import SplitBrain
from and_tf.methods.split_brain.model import HEADS, build_predictor, head_state
from and_tf.methods.split_brain.rebuilding import rebuilt_images

pytestmark = pytest.mark.usefixtures("thin_resnet")

SIDE, PLACES = 16, 8


def images():
    """Smooth, of many colours."""
    coarse = np.random.default_rng(0).uniform(60, 190, (4, 3, 3, 3)).astype("float32")
    return tf.image.resize(coarse, (SIDE, SIDE), "bicubic").numpy().clip(0, 255).astype("uint8")


def predict_perfectly(pixels, training):
    """In place of a predictor: all probability at the bins of the images themselves."""
    lab = tf.constant(color.rgb2lab(pixels / 255), tf.float32)
    reduced = area_means(lab, (PLACES, PLACES))
    colour = tf.one_hot(colour_bin_of(reduced[..., 1:]), len(colour_bins()))
    return 100 * colour, 100 * tf.one_hot(lightness_bin_of(reduced[..., 0]), 100), lab


def test_perfect_predictions_give_the_images_up_to_resolution_and_bins():
    rebuilt = rebuilt_images(predict_perfectly, images())
    assert list(rebuilt) == [
        "reduced to 8 x 8", "both predicted", "colour predicted", "lightness predicted"
    ]  # fmt: skip
    reduced = color.rgb2lab(rebuilt["reduced to 8 x 8"])
    assert np.abs(reduced - color.rgb2lab(images())).mean() < 2
    both = color.rgb2lab(rebuilt["both predicted"])
    assert np.abs(both - reduced)[..., 0].mean() < 0.5  # half a bin of L
    assert np.abs(both - reduced)[..., 1:].mean() < 3.5  # half a bin of a and b at most


def test_what_is_not_predicted_is_the_images_own():
    own = color.rgb2lab(images())
    rebuilt = {name: color.rgb2lab(each) for name, each in rebuilt_images(blind, images()).items()}
    np.testing.assert_allclose(rebuilt["colour predicted"][..., 0], own[..., 0], atol=0.7)
    assert np.ptp(rebuilt["both predicted"].reshape(-1, 3), axis=0).max() < 1


def blind(pixels, training):
    """In place of a predictor: grey of medium lightness, whatever the image."""
    colour, lightness, _ = predict_perfectly(np.full_like(pixels, 119), training)
    return colour, lightness, tf.constant(color.rgb2lab(pixels / 255), tf.float32)


def test_a_mean_of_the_distribution_is_predicted():
    """Half of the probability at L 20.5 and half at 60.5 gives 40.5."""

    def predict(pixels, training):
        colour, _, lab = blind(pixels, training)
        halves = 100.0 * (tf.one_hot(20, 100) + tf.one_hot(60, 100))
        return colour, tf.broadcast_to(halves, (*colour.shape[:3], 100)), lab

    found = color.rgb2lab(rebuilt_images(predict, images())["both predicted"])
    np.testing.assert_allclose(found[..., 0], 40.5, atol=0.3)


def test_the_method_rebuilds_by_the_heads_of_the_checkpoint():
    encoder = build_encoder("resnet_small", (SIDE, SIDE, 3), 8, split=True, seed=0)
    predictor = build_predictor(encoder, seed=3)
    kept = {name: variable.numpy() for name, variable in head_state(predictor).items()}
    asked = []

    def load(prefix):
        asked.append(prefix)
        return {name: array for name, array in kept.items() if name.startswith(prefix)}

    sentence, found = SplitBrain().rebuild(encoder, load, images())
    assert sentence == (
        "Rebuilt from what the halves of the encoder predict of each other: the mean of the "
        "predicted distribution."
    )
    assert asked == [HEADS]
    for name, expected in rebuilt_images(predictor, images()).items():
        np.testing.assert_array_equal(found[name], expected)
