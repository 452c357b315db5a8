"""Encoders opened from files, whatever network these hold."""

import os

import keras
import numpy as np
import pytest
from keras import ops

from and_tf.encoders import build_encoder, layer_names, open_pretrained
from and_tf.encoders.pretrained.network import Network, as_encoder
from and_tf.errors import BrokenFile, MissingPackage, NotFound, UserError


def images(side, count=3):
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3), np.uint8)


def convolutions(side=24, name="convolutions"):
    """From pixels to maps, with the preprocessing that ImageNet weights of Keras begin with."""
    normalise = keras.layers.Normalization()
    normalise.adapt(np.random.default_rng(1).uniform(0, 255, (64, 4, 4, 3)))
    return keras.Sequential(
        [
            keras.Input((side, side, 3)), normalise,
            keras.layers.ZeroPadding2D(1), keras.layers.Conv2D(6, 3, 2, name="first"),
            keras.layers.ReLU(name="after_first"),
            keras.layers.Conv2D(8, 3, 2, padding="same", name="second"),
            keras.layers.BatchNormalization(name="second_bn"),
        ],
        name=name,
    )  # fmt: skip


def saved(model, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    return str(path)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_maps_are_pooled_and_brought_to_unit_length(tmp_path):
    model = convolutions()
    encoder = open_pretrained(saved(model, tmp_path))
    expected = unit(model.predict(images(24), verbose=0).mean(axis=(1, 2)))
    np.testing.assert_allclose(encoder.predict(images(24), verbose=0), expected, atol=1e-6)


def test_tokens_are_averaged(tmp_path):
    model = keras.Sequential([convolutions(), keras.layers.Reshape((-1, 8))])
    encoder = open_pretrained(saved(model, tmp_path))
    expected = unit(model.predict(images(24), verbose=0).mean(axis=1))
    np.testing.assert_allclose(encoder.predict(images(24), verbose=0), expected, atol=1e-6)


def test_a_model_within_a_model_is_taken_apart(tmp_path):
    model = keras.Sequential([convolutions(), keras.layers.GlobalAveragePooling2D()])
    encoder = open_pretrained(saved(model, tmp_path), image_size=32)
    assert not any(isinstance(layer, keras.Model) for layer in encoder.layers)
    assert layer_names(encoder) == ["stem", "stage1", "fc"]
    inner = convolutions(32)
    inner.set_weights(model.get_weights())
    expected = unit(inner.predict(images(32), verbose=0).mean(axis=(1, 2)))
    np.testing.assert_allclose(encoder.predict(images(32), verbose=0), expected, atol=1e-6)


def test_no_layer_is_left_whose_constants_an_onnx_export_would_ask_for(tmp_path):
    encoder = open_pretrained(saved(convolutions(), tmp_path))
    assert not any(isinstance(layer, keras.layers.Normalization) for layer in encoder.layers)
    assert keras.models.model_from_json(encoder.to_json()).count_params() == encoder.count_params()


def test_an_encoder_of_ours_is_opened_as_it_is(tmp_path):
    ours = build_encoder("resnet_small", (16, 16, 3), 8, mean=(90, 100, 110), seed=2)
    encoder = open_pretrained(saved(ours, tmp_path))
    expected = ours.predict(images(16), verbose=0)
    np.testing.assert_allclose(encoder.predict(images(16), verbose=0), expected, atol=1e-6)
    assert layer_names(encoder) == layer_names(ours)


def test_at_another_size_dense_layers_on_maps_are_fresh_and_named(tmp_path, caplog):
    ours = build_encoder("alexnet", (32, 32, 3), 8, seed=2)
    encoder = open_pretrained(saved(ours, tmp_path), image_size=48)
    assert encoder.input_shape == (None, 48, 48, 3)
    assert "fresh: hidden1_dense" in caplog.text
    np.testing.assert_array_equal(
        encoder.get_layer("conv5_conv").kernel, ours.get_layer("conv5_conv").kernel
    )


@pytest.mark.parametrize("of_ours", [True, False])
def test_a_new_last_layer_is_put_where_the_features_are(tmp_path, of_ours):
    ours = build_encoder("resnet_small", (16, 16, 3), 8, seed=2)
    path = saved(ours if of_ours else convolutions(16), tmp_path)
    encoder = open_pretrained(path, embedding_dim=5, seed=1)
    assert encoder.get_layer("fc").kernel.shape == ((128, 5) if of_ours else (8, 5))
    rows = encoder.predict(images(16), verbose=0)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    again = open_pretrained(path, embedding_dim=5, seed=1)
    np.testing.assert_array_equal(rows, again.predict(images(16), verbose=0))


def test_channels_may_be_reversed_after_the_preprocessing():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.AveragePooling2D(8)])
    network = Network(model, 8, (0.5, 1.0, 2.0), (1.0, 2.0, 3.0), reverses_channels=True)
    encoder, _ = as_encoder(network)
    pixels = images(8).astype("float32").mean(axis=(1, 2))  # (n, 3)
    expected = unit((pixels * [0.5, 1, 2] + [1, 2, 3])[:, ::-1])
    np.testing.assert_allclose(encoder.predict(images(8), verbose=0), expected, atol=1e-6)


def test_code_in_a_file_is_not_run(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x)])
    with pytest.raises(BrokenFile, match="cannot be read"):
        open_pretrained(saved(model, tmp_path))


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 12, 3), (7,)])
def test_networks_of_other_inputs_are_refused(tmp_path, shape):
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(UserError, match=r"side, side, 3"):
        open_pretrained(saved(model, tmp_path))


def test_networks_of_several_outputs_are_refused_by_their_path(tmp_path):
    model = convolutions()
    path = saved(keras.Model(model.inputs, model.outputs * 2), tmp_path)
    with pytest.raises(UserError, match=rf"{path} gives 2 outputs and must give one"):
        open_pretrained(path)


def test_a_pipe_is_refused_without_reading_it(tmp_path):
    os.mkfifo(tmp_path / "model.keras")
    with pytest.raises(NotFound, match=r"model\.keras is not a regular file"):
        open_pretrained(str(tmp_path / "model.keras"))


def test_a_size_that_a_network_cannot_take_is_refused(tmp_path):
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 5), keras.layers.Reshape((32,))]
    )
    with pytest.raises(UserError, match="image_size=16"):
        open_pretrained(saved(model, tmp_path), image_size=16)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere", "does not exist"),
        ("mobilenetv2", "Did you mean MobileNetV2"),
        ("MobileNetV2", r"mobilenet_v2_weights.*nothing is downloaded"),
        ("MobileNetV2:weights.h5", "weights.h5, the weights of MobileNetV2, does not exist"),
    ],
)
def test_what_is_not_there_is_said_with_the_place(spec, message, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(NotFound, match=message):
        open_pretrained(spec)


def test_another_file_than_a_keras_one_is_refused(tmp_path):
    file = tmp_path / "encoder.onnx"
    file.write_bytes(b"")
    with pytest.raises(UserError, match="inference only"):
        open_pretrained(str(file))


def test_a_preset_without_its_package_names_the_install_line(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(MissingPackage, match=r"pip install -r requirements-hub\.txt"):
        open_pretrained(f"hub:{tmp_path}")


def test_unnamed_variables_count_within_their_layer():
    from and_tf.runs.checkpoint import layer_state

    class Scale(keras.layers.Layer):
        def build(self, shape):
            self.factor = keras.Variable(ops.ones((2,)))

    layers = [Scale(), Scale()]
    for layer in layers:
        layer.build(None)
    assert [list(layer_state(layer)) for layer in layers] == [["variable"], ["variable"]]
