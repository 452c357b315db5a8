"""Split-Brain's encoder: two halves that share nothing, with the layers of every encoder."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf import encoders
from and_tf.encoders.pretrained.network import Network, as_encoder
from and_tf.errors import UserError

NAMES = ("alexnet", "resnet18", "resnet_small")

split_encoder = functools.partial(encoders.build_encoder, split=True)


def images(count=3, side=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype("float32")


@pytest.mark.parametrize("name", NAMES)
def test_layers_have_the_names_and_shapes_of_every_encoder(name):
    split = split_encoder(name, (32, 32, 3), 64)
    whole = encoders.build_encoder(name, (32, 32, 3), 64)
    assert encoders.layer_names(split) == encoders.layer_names(whole)
    for layer in encoders.layer_names(whole):
        expected = encoders.layer_output(whole, layer).shape
        assert encoders.layer_output(split, layer).shape == expected


@pytest.mark.parametrize("name", NAMES)
def test_features_of_a_layer_are_both_halves_lightness_first(name):
    encoder = split_encoder(name, (16, 16, 3), 8, seed=1)
    *maps, _ = encoders.layer_names(encoder)
    for layer in maps:
        halves = [encoder.get_layer(f"{layer}_{half}").output for half in ("lightness", "colour")]
        model = keras.Model(encoder.input, [encoder.get_layer(layer).output, *halves])
        both, *parts = model(images(), training=False)
        np.testing.assert_array_equal(both, np.concatenate(parts, axis=-1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_the_half_that_sees_colour_cannot_tell_grey_images_apart(name, training):
    encoder = split_encoder(name, (16, 16, 3), 8, seed=1)
    outputs = [encoder.get_layer(f"fc_{half}").output for half in ("lightness", "colour")]
    greys = np.broadcast_to(images(8)[..., :1], (8, 16, 16, 3))
    lightness, colour = keras.Model(encoder.input, outputs)(greys, training=training)
    assert np.ptp(lightness, axis=0).max() > 0
    np.testing.assert_array_equal(colour, np.broadcast_to(colour[:1], colour.shape))


def test_all_colours_of_8_bits_but_greys_are_seen():
    encoder = split_encoder("resnet_small", (16, 16, 3), 8)
    greys = np.repeat(np.arange(256)[:, None], 3, axis=1)
    changes = np.array([change for change in np.ndindex(2, 2, 2) if 0 < sum(change) < 3])
    almost_grey = (greys[:-1, None] + changes).reshape(-1, 3)  # (255 x 6, 3)
    colours = np.concatenate([greys, almost_grey, [[0, 0, 0]] * 6])
    pixels = colours.reshape(-1, 16, 16, 3).astype("float32")  # 7 images
    seen = keras.Model(encoder.input, encoder.get_layer("colour").output)(pixels)
    is_seen = np.any(seen, axis=-1).ravel()
    assert is_seen.tolist() == [False] * 256 + [True] * 1530 + [False] * 6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_no_half_has_a_gradient_of_the_channels_of_the_other(name, training):
    encoder = split_encoder(name, (16, 16, 3), 8, seed=1)
    outputs = [encoder.get_layer(f"fc_{half}").output for half in ("lightness", "colour")]
    of_lab = keras.Model(encoder.get_layer("lab").output, outputs)
    lab = tf.constant(np.random.default_rng(0).uniform(20, 80, (4, 16, 16, 3)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(lab)
        lightness, colour = (tf.reduce_sum(out**2) for out in of_lab(lab, training=training))
    of_lightness, of_colour = tape.gradient(lightness, lab), tape.gradient(colour, lab)
    assert np.abs(of_lightness[..., 0]).max() > 0 and np.abs(of_colour[..., 1:]).max() > 0
    np.testing.assert_array_equal(of_lightness[..., 1:], 0)
    np.testing.assert_array_equal(of_colour[..., 0], 0)


@pytest.mark.parametrize("name", NAMES)
def test_no_half_depends_on_the_weights_of_the_other(name):
    encoder = split_encoder(name, (16, 16, 3), 8, seed=1)
    for half, other in (("lightness", "colour"), ("colour", "lightness")):
        model = keras.Model(encoder.input, encoder.get_layer(f"fc_{half}").output)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images(), training=True) ** 2)
        gradients = tape.gradient(loss, encoder.trainable_variables)
        for variable, gradient in zip(encoder.trainable_variables, gradients, strict=True):
            is_zero = gradient is None or not np.any(gradient)
            is_cancelled = "_conv_" in variable.path and "bias" in variable.path  # by BatchNorm
            assert is_zero or f"_{half}/" in variable.path, variable.path
            assert not is_zero or f"_{other}/" in variable.path or is_cancelled, variable.path


def test_fc_is_the_mean_of_the_maps_that_predict_as_unit_rows():
    encoder = split_encoder("resnet_small", (16, 16, 3), 8, seed=1)
    names = ("fc_lightness", "fc_colour")
    model = keras.Model(encoder.input, [encoder.get_layer(name).output for name in names])
    maps = np.concatenate(model(images(), training=False), axis=-1)  # (B, 2, 2, 8)
    means = maps.mean(axis=(1, 2))
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder(images(), training=False), expected, atol=1e-6)


def test_small_alexnet_predicts_at_the_resolution_of_conv5():
    encoder = split_encoder("alexnet", (32, 32, 3), 128)
    assert encoder.get_layer("fc_colour").output.shape == (None, 8, 8, 64)
    assert encoder.get_layer("hidden1_lightness").output.shape == (None, 8, 8, 512)


def test_equal_seeds_give_equal_weights_and_the_halves_differ():
    one, again, other = (split_encoder("resnet_small", (16, 16, 3), 8, seed=s) for s in (1, 1, 2))
    for weight, same in zip(one.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, same)
    kernels = [e.get_layer("stage1_block1_conv1_lightness").kernel.numpy() for e in (one, other)]
    assert (kernels[0] != kernels[1]).any()
    assert (kernels[0] != one.get_layer("stage1_block1_conv1_colour").kernel.numpy()).any()


@pytest.mark.parametrize(
    ("name", "shape", "dim", "match"),
    [
        ("vgg", (16, 16, 3), 8, "encoder"),
        ("alexnet", (16, 16, 1), 8, "3 channels"),
        ("alexnet", (16, 16, 3), 7, "even"),
        ("alexnet", (4, 4, 3), 8, "at least 8"),
    ],
)
def test_what_cannot_be_split_is_refused(name, shape, dim, match):
    with pytest.raises(UserError, match=match):
        split_encoder(name, shape, dim)


@pytest.mark.parametrize(("dim", "fresh"), [(None, []), (12, ["fc"])])
def test_another_run_may_start_from_it_with_an_embedding_of_another_length(dim, fresh):
    encoder = split_encoder("resnet_small", (16, 16, 3), 8, seed=0)
    started, loaded = as_encoder(Network(encoder, 16), embedding_dim=dim, seed=1)
    assert started.output_shape == (None, dim or 8) and loaded.fresh == fresh
    np.testing.assert_allclose(
        np.linalg.norm(started(images(), training=False), axis=1), 1, atol=1e-5
    )
