"""Keras Applications: the pixels that their weights expect, and where these lie."""

import importlib

import keras
import numpy as np
import pytest

from and_tf.encoders import open_pretrained
from and_tf.encoders.pretrained.applications import APPLICATIONS
from and_tf.errors import BrokenFile

MODULES = {
    "MobileNet": "mobilenet", "MobileNetV2": "mobilenet_v2", "MobileNetV3Small": "mobilenet_v3",
    "EfficientNetB0": "efficientnet", "EfficientNetV2B0": "efficientnet_v2", "ResNet50": "resnet",
    "ResNet152": "resnet", "ResNet50V2": "resnet_v2", "DenseNet121": "densenet", "VGG16": "vgg16",
    "VGG19": "vgg19", "InceptionV3": "inception_v3", "InceptionResNetV2": "inception_resnet_v2",
    "Xception": "xception", "NASNetLarge": "nasnet", "ConvNeXtTiny": "convnext",
}  # fmt: skip


def test_every_network_of_keras_applications_is_known():
    theirs = {name for name in dir(keras.applications) if name[0].isupper()}
    assert theirs == set(APPLICATIONS)


@pytest.mark.parametrize("name", MODULES)
def test_pixels_are_those_of_keras(name):
    module = importlib.import_module(f"keras.applications.{MODULES[name]}")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    ours, expected = pixels, module.preprocess_input(pixels.copy())
    scale, offset, reverses_channels, _ = APPLICATIONS[name].pixels
    if scale is not None:
        ours = pixels * np.float32(scale) + np.float32(offset)
    if reverses_channels:
        ours = ours[..., ::-1]
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_weights_in_keras_cache_give_the_features_of_keras(tmp_path, monkeypatch):
    """Also the name of the file, for which Keras is asked, and what only ImageNet weights get."""
    name = "EfficientNetB0"
    from keras.src.utils import file_utils

    fresh = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    for layer in fresh.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.adapt(np.random.default_rng(0).uniform(0, 1, (50, 4, 4, 3)))
    file = tmp_path / "models" / APPLICATIONS[name].file
    file.parent.mkdir()
    fresh.save_weights(file.with_suffix(".weights.h5"))
    asked = []

    def get_file(fname, *args, **settings):
        asked.append(fname)
        return str(file.with_suffix(".weights.h5"))

    monkeypatch.setattr(file_utils, "get_file", get_file)
    theirs = getattr(keras.applications, name)(include_top=False, input_shape=(64, 64, 3))
    assert asked == [file.name]

    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    expected = theirs.predict(images.astype("float32"), verbose=0).mean(axis=(1, 2))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    encoder = open_pretrained(f"{name}:{file.with_suffix('.weights.h5')}", image_size=64)
    np.testing.assert_allclose(encoder.predict(images, verbose=0), expected, atol=1e-6)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(path)
    with pytest.raises(BrokenFile, match="does not hold the weights of MobileNetV3Small"):
        open_pretrained(f"MobileNetV3Small:{path}", image_size=64)
