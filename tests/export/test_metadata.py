"""Each export says how to feed it, within itself and beside itself, and how to check that."""

import base64
import hashlib
import io
import json
import zipfile

import keras
import numpy as np
import onnx
import pytest
from PIL import Image

import and_tf
from and_tf import export
from and_tf.data.decode import load_square
from and_tf.encoders import pooled_features
from and_tf.export.metadata import describe, path_beside, preprocessing

FORMATS = list(export.FORMATS)


@pytest.fixture
def encoder(of_colours):
    return of_colours


@pytest.mark.parametrize("format", FORMATS)
def test_the_metadata_within_an_export_say_how_to_feed_it(exports_of_colours, format):
    told = export.load_exported(exports_of_colours[format]).metadata
    assert (told["image_size"], told["embedding_dim"], told["normalised"]) == (32, 16, True)
    assert (told["input"]["range"], told["input"]["color_order"]) == ([0, 255], "RGB")
    assert told["preprocessing"] == preprocessing(32)
    assert told["and_tf_version"] == and_tf.__version__
    assert (told["format"], told["precision"]) == (format, export.FORMATS[format].precision)
    assert (told["encoder"], told["layer"]) == ("resnet_small", "embedding")


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_metadata_are_read_without_the_runtime(exports_of_colours, format):
    path = exports_of_colours[format]
    place = path / "assets.extra" / "encoder.json" if path.is_dir() else path_beside(path)
    told = json.loads(place.read_text())
    if path.is_file():  # within a file there is none of the whole file
        assert told.pop("checksum") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told == export.load_exported(path).metadata


def test_keras_and_onnx_show_the_metadata_to_common_tools(exports_of_colours):
    with zipfile.ZipFile(exports_of_colours["keras"]) as archive:
        assert json.loads(archive.read("encoder.json"))["image_size"] == 32
    properties = {p.key: p.value for p in onnx.load(str(exports_of_colours["onnx"])).metadata_props}
    assert properties["image_size"] == "32" and properties["normalised"] == "True"
    assert json.loads(properties["encoder.json"])["image_size"] == 32
    assert b'"image_size": 32' in exports_of_colours["litert"].read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_the_reference_shows_whether_images_were_prepared_rightly(exports_of_colours, format):
    exported = export.load_exported(exports_of_colours[format])
    reference = exported.metadata["reference"]
    content = base64.b64decode(reference["image"].partition(",")[2])
    right = load_square(content, 32)
    upright = np.asarray(Image.open(io.BytesIO(content)).resize((32, 32)))
    squeezed = np.asarray(Image.open(io.BytesIO(content)).rotate(-90, expand=True).resize((32, 32)))
    expected = np.array(reference["embedding"])

    def cosine(image):
        (found,) = exported(image[None])
        return found @ expected / np.linalg.norm(found)

    lowest = {"float32": 0.99999, "float16": 0.999, "int8": 0.98}
    assert cosine(right) > lowest[exported.metadata["precision"]]
    for wrong in (upright, squeezed, 255 - right):
        assert cosine(wrong) < cosine(right) - 0.01


def test_another_layer_is_named(encoder, tmp_path):
    path = export.export_encoder(encoder, tmp_path / "a.keras", "keras", layer="stage3")
    assert export.load_exported(path).metadata["layer"] == "stage3"


def test_embeddings_of_any_length_are_told():
    images = keras.Input((8, 8, 3))
    longer = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    assert describe(longer, "onnx")["normalised"] is False


def test_a_keras_file_names_the_lowest_version_tried(encoder, exports_of_colours):
    told = export.load_exported(exports_of_colours["keras"]).metadata
    assert told["lowest_keras_version"] == "3.14.0"
    assert describe(pooled_features(encoder, "stage4"), "keras")["lowest_keras_version"] == "3.14.0"
    images = keras.Input((8, 8, 3))
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(images)  # with an initialiser of Keras
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU(6.0)(x))
    foreign = keras.Model(images, x)
    assert describe(foreign, "keras")["lowest_keras_version"] == "3.15.0"
    other = keras.Model(images, keras.layers.GlobalMaxPooling2D()(images))
    assert describe(other, "keras")["lowest_keras_version"] == keras.__version__


def test_files_without_metadata_are_read(encoder, tmp_path):
    encoder.save(tmp_path / "plain.keras")
    assert export.load_exported(tmp_path / "plain.keras").metadata == {}


@pytest.mark.parametrize("side", [8, 64, 160])
def test_reference_images_are_small_and_need_every_step(side):
    content = export.metadata.reference_image(side)
    image = Image.open(io.BytesIO(content))
    assert len(content) < 100_000 and image.getexif()[0x0112] == 6
    assert image.width != image.height and min(image.size) > side
