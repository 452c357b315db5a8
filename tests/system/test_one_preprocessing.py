"""Evaluation, embedding and export treat an oblong photo alike: Pillow's centre square of it."""

import io

import numpy as np
import pytest
import tensorflow as tf
from helpers.trained_encoders import trained_encoder
from PIL import Image

from and_tf.collection.embed import embed_folder
from and_tf.collection.settings import CollectionSettings
from and_tf.data import open_source
from and_tf.evaluation import extract
from and_tf.export import export_encoder, load_exported

SIDE = 96
PHOTOS = {"wide.png": (311, 200), "high.png": (97, 260), "small.png": (70, 50)}  # width, height

# Pillow rounds to whole numbers after each axis, TensorFlow once at the end: a pixel differs by at
# most 1 of 255 (tests of export). Measured here: embeddings of unit length differ by 2e-5.
EMBEDDING_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def encoder():
    return trained_encoder("resnet_small", SIDE)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, size in PHOTOS.items():
        coarse = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
        fine = smooth + rng.normal(0, 20, smooth.shape)
        Image.fromarray(np.clip(fine, 0, 255).astype(np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def squares(photos):
    """What every part should see: (3, SIDE, SIDE, 3) uint8, by Pillow alone, sorted by name."""
    found = []
    for name in sorted(PHOTOS):
        image = Image.open(photos / name)
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        found.append(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)))
    return np.stack(found)


def test_sources_load_the_square_itself(photos, squares):
    source = open_source(f"folder:{photos}")
    assert source.names == sorted(PHOTOS)
    np.testing.assert_array_equal(source.load(range(3), SIDE), squares)


def test_evaluation_embeds_the_square(encoder, photos, squares):
    expected = encoder.predict(squares, verbose=0)
    found = extract(encoder, open_source(f"folder:{photos}"), SIDE)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["encoder", "encoder.keras", "encoder.onnx"])
def test_a_folder_is_embedded_by_the_square(encoder, photos, squares, tmp_path, name):
    format = {"encoder": "savedmodel", "encoder.keras": "keras", "encoder.onnx": "onnx"}[name]
    path = export_encoder(encoder, tmp_path / name, format)
    table = tmp_path / "table.npz"
    embed_folder(CollectionSettings(model=str(path), images=str(photos), output=str(table)))
    with np.load(table) as columns:
        found = columns["embedding"]
    np.testing.assert_allclose(found, encoder.predict(squares, verbose=0), atol=1e-4)
    np.testing.assert_allclose(load_exported(path)(squares), found, atol=1e-4)


def test_a_savedmodel_finds_the_square_by_itself(encoder, photos, squares, tmp_path):
    path = export_encoder(encoder, tmp_path / "encoder", "savedmodel")
    signatures = tf.saved_model.load(str(path)).signatures
    expected = encoder.predict(squares, verbose=0)
    contents = [(photos / name).read_bytes() for name in sorted(PHOTOS)]
    found = signatures["encoded_images"](images=tf.constant(contents))["embeddings"]
    np.testing.assert_allclose(found, expected, atol=EMBEDDING_TOLERANCE)
    for content, row in zip(contents, expected, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(content)))
        found = signatures["serving_default"](images=tf.constant(pixels[None]))["embeddings"]
        np.testing.assert_allclose(found[0], row, atol=EMBEDDING_TOLERANCE)
