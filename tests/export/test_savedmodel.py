"""What a SavedModel does by itself: resize, decode, describe itself, run without this package."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.small_runs import small_encoder
from helpers.trained_encoders import smooth_pixels

from and_tf import export
from and_tf.export import resize_and_crop

TOLERANCE = 1e-4


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 71), (90, 33), (20, 31)])
def test_pixels_of_any_size_give_the_embeddings_of_their_centre(encoder, saved, height, width):
    images = smooth_pixels(4, height, width)
    expected = encoder.predict(resize_and_crop(tf.constant(images), 32), verbose=0)
    serve = tf.saved_model.load(str(saved)).signatures["serving_default"]
    found = serve(images=tf.constant(images))["embeddings"]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_encoded_bytes_of_any_sizes_give_the_embeddings_of_their_pixels(saved):
    signatures = tf.saved_model.load(str(saved)).signatures
    images = [smooth_pixels(1, *size, seed=7)[0] for size in [(32, 32), (50, 40), (33, 64)]]
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    found = signatures["encoded_images"](images=encoded)["embeddings"]
    for image, embedding in zip(images, found, strict=True):
        expected = signatures["serving_default"](images=tf.constant(image[None]))["embeddings"]
        np.testing.assert_allclose(embedding, expected[0], atol=1e-5)


def test_common_kinds_of_files_are_decoded(saved, tmp_path):
    image = smooth_pixels(1)[0]
    files = [tmp_path / f"image.{kind}" for kind in ("jpeg", "png", "bmp", "gif", "webp")]
    for file in files:
        keras.utils.array_to_img(image, scale=False).save(file)
    signatures = tf.saved_model.load(str(saved)).signatures
    expected = signatures["serving_default"](images=tf.constant(image[None]))["embeddings"]
    for file in files:
        encoded = tf.constant([file.read_bytes()])
        found = signatures["encoded_images"](images=encoded)["embeddings"]
        cosine = float(tf.reduce_sum(found * expected))
        assert cosine > 0.8, file.name  # GIF keeps 256 colours


def test_a_corrupt_file_among_others_is_told_and_gives_nan(saved):
    signatures = tf.saved_model.load(str(saved)).signatures
    image = smooth_pixels(1)[0]
    files = [tf.io.encode_png(image), b"corrupt", b"", tf.io.encode_png(image)]
    found = signatures["encoded_images"](images=tf.stack(files))
    np.testing.assert_array_equal(found["is_decoded"], [True, False, False, True])
    assert np.isnan(found["embeddings"][1:3]).all()
    expected = signatures["serving_default"](images=tf.constant(image[None]))["embeddings"][0]
    for row in (0, 3):
        np.testing.assert_allclose(found["embeddings"][row], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["a]b[c", "a[0-9]*\\b?"])
def test_it_is_written_and_read_at_paths_that_tensorflow_takes_for_patterns(name, tmp_path):
    encoder = small_encoder("of one layer", (16, 16, 3), 4)
    folder = tmp_path / name
    images = smooth_pixels(2, 16, 16)
    path = export.export_encoder(encoder, folder / "model", "savedmodel")
    assert export.verify_export(encoder, path, "savedmodel", images) < TOLERANCE
    export.export_encoder(encoder, path, "savedmodel")  # in its place
    found = export.load_exported(path)(images)
    np.testing.assert_allclose(found, encoder.predict(images, verbose=0), atol=TOLERANCE)


def test_it_runs_without_this_package(encoder, saved, tmp_path):
    np.save(tmp_path / "images.npy", smooth_pixels())
    code = (
        "import sys; sys.modules['and_tf'] = None; sys.modules['keras'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"serve = tf.saved_model.load({str(saved)!r}).signatures['serving_default']\n"
        "images = tf.constant(np.load('images.npy'))\n"
        "np.save('found.npy', serve(images=images)['embeddings'])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    expected = encoder.predict(smooth_pixels(), verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=TOLERANCE)
