"""Presets of keras-hub, saved in a folder or found in kagglehub's cache."""

import json
import shutil

import keras
import numpy as np
import pytest

from and_tf.encoders import layer_names, open_pretrained
from and_tf.encoders.pretrained import hub
from and_tf.errors import BrokenFile, NotFound

keras_hub = pytest.importorskip("keras_hub", exc_type=ImportError)


@pytest.fixture(scope="module")
def backbone():
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 72],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block",
        image_shape=(None, None, 3),
    )  # fmt: skip


@pytest.fixture(scope="module")
def preset(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny_resnet"
    backbone.save_to_preset(str(folder))
    return folder


def expected(backbone, pixels):
    rows = backbone.predict(pixels, verbose=0).mean(axis=(1, 2))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_folder_gives_the_features_of_its_backbone(backbone, preset):
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)
    encoder = open_pretrained(f"hub:{preset}", image_size=48)
    np.testing.assert_allclose(
        encoder.predict(images, verbose=0), expected(backbone, images.astype("float32")), atol=1e-5
    )
    assert layer_names(encoder)[0] == "stem" and layer_names(encoder)[-1] == "fc"
    again = keras.models.model_from_json(encoder.to_json())  # as a run keeps it
    again.set_weights(encoder.get_weights())
    np.testing.assert_allclose(
        again.predict(images, verbose=0), encoder.predict(images, verbose=0), atol=1e-6
    )


def test_the_preprocessing_of_a_preset_is_inside_the_encoder(backbone, preset, tmp_path):
    folder = tmp_path / "with_pixels"
    shutil.copytree(preset, folder)
    converter = keras_hub.layers.ResNetImageConverter(
        scale=[1 / 50, 1 / 60, 1 / 70], offset=[-2.0, -1.9, -1.8]
    )
    config = keras.saving.serialize_keras_object(converter)
    (folder / "image_converter.json").write_text(json.dumps(config))
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)
    pixels = images.astype("float32") / [50, 60, 70] + np.float32([-2, -1.9, -1.8])
    encoder = open_pretrained(f"hub:{folder}", image_size=48)
    np.testing.assert_allclose(
        encoder.predict(images, verbose=0), expected(backbone, pixels), atol=1e-5
    )


def test_the_newest_version_in_the_cache_is_found_by_name(preset, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    for version in ("2", "10"):
        shutil.copytree(preset, tmp_path / "models/keras/resnetv1/keras/tiny" / version)
    assert hub._preset_folder("tiny").name == "10"


def test_a_preset_that_is_not_on_the_disk_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    with pytest.raises(NotFound, match="Nothing is downloaded"):
        open_pretrained("hub:resnet_18_imagenet")


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BrokenFile, match="cannot be read as a keras-hub preset"):
        open_pretrained(f"hub:{tmp_path}")
