"""Exports give the embeddings of the Keras encoder, wherever they run."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf import encoders, export
from and_tf.export import writers
from and_tf.export.formats import SUFFIXES

TOLERANCE = 1e-4


def pixels(count=8, height=32, width=32, seed=0):
    """Smooth colours, so that resizing matters and JPEG stays close."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, 5, 7, 3)).astype("float32")
    smooth = tf.image.resize(coarse, (height, width)).numpy()
    return np.clip(smooth + generator.normal(0, 4, smooth.shape), 0, 255).astype("uint8")


def trained(name):
    """An encoder after a few steps, with moving averages and gammas that are not 0 and 1."""
    encoder = encoders.build_encoder(
        name, embedding_dim=16, mean=(120, 121, 122), std=(60, 61, 62), seed=1
    )
    generator = np.random.default_rng(2)
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, *_ = shapes = [weight.shape for weight in layer.get_weights()]
            values = [generator.normal(0, 0.3, shape) for shape in shapes]
            values[0] = generator.uniform(0.5, 1.5, gamma)
            values[3] = generator.uniform(0.3, 3.0, gamma)
            layer.set_weights(values)
    encoder.compile(keras.optimizers.SGD(0.01), loss="mse")
    encoder.fit(pixels(seed=3), generator.normal(size=(8, 16)), batch_size=4, verbose=0)
    return encoder


@pytest.fixture(scope="module", params=["resnet_small", "alexnet"])
def any_encoder(request):
    return trained(request.param)


@pytest.fixture(scope="module")
def encoder():
    return trained("resnet_small")


@pytest.fixture(scope="module")
def saved(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model"
    return export.export_encoder(encoder, path, "savedmodel")


def resized_by_hand(images, side):
    height, width = images.shape[1:3]
    scale = side / min(height, width)
    height, width = int(height * scale + 0.5), int(width * scale + 0.5)
    images = tf.image.resize(images, (height, width), antialias=True).numpy()
    top, left = (height - side) // 2, (width - side) // 2
    return np.rint(images[:, top : top + side, left : left + side])


@pytest.mark.parametrize("format", export.FORMATS)
def test_every_format_gives_the_embeddings_of_the_encoder(any_encoder, format, tmp_path):
    images = pixels()
    expected = any_encoder.predict(images, verbose=0)
    path = tmp_path / f"model{SUFFIXES[format]}"
    assert export.export_encoder(any_encoder, path, format) == path
    assert os.listdir(tmp_path) == [path.name]  # nothing left beside it

    exported = export.load_exported(path)
    assert (exported.image_size, exported.embedding_dim) == (32, 16)
    for count in (1, 8, 3, 0):
        found = exported(images[:count])
        assert found.dtype == np.float32 and found.shape == (count, 16)
        np.testing.assert_allclose(found, expected[:count], atol=TOLERANCE)
    assert export.verify_export(any_encoder, path, format, images) < TOLERANCE


@pytest.mark.parametrize("format", export.FORMATS)
def test_verification_sees_other_weights(encoder, format, tmp_path):
    path = export.export_encoder(encoder, tmp_path / f"m{SUFFIXES[format]}", format)
    other = keras.models.clone_model(encoder)
    other.set_weights([weight * 1.1 + 0.01 for weight in encoder.get_weights()])
    assert export.verify_export(other, path, format, pixels(3)) > 10 * TOLERANCE


def test_mixed_precision_encoders_are_exported_in_float32(encoder, tmp_path):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        mixed = encoders.build_encoder(
            "resnet_small", embedding_dim=16, mean=(120, 121, 122), std=(60, 61, 62)
        )
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(encoder.get_weights())
    expected = encoder.predict(pixels(), verbose=0)
    for format in ("onnx", "litert"):
        path = tmp_path / f"m{SUFFIXES[format]}"
        export.export_encoder(mixed, path, format)
        np.testing.assert_allclose(export.load_exported(path)(pixels()), expected, atol=TOLERANCE)
        assert export.verify_export(mixed, path, format, pixels()) < TOLERANCE


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 71), (90, 33), (20, 31), (33, 32)])
def test_savedmodel_resizes_the_shorter_side_and_crops_the_centre(encoder, saved, height, width):
    images = pixels(4, height, width)
    expected = encoder.predict(resized_by_hand(images, 32), verbose=0)
    serve = tf.saved_model.load(str(saved)).signatures["serving_default"]
    found = serve(images=tf.constant(images))["embeddings"]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_images_of_the_encoders_size_pass_unchanged():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(export.resize_and_crop(tf.constant(images), 32), images)


def test_encoded_bytes_of_any_sizes_give_the_embeddings_of_their_pixels(saved):
    signatures = tf.saved_model.load(str(saved)).signatures
    images = [pixels(1, *size, seed=7)[0] for size in [(32, 32), (50, 40), (33, 64)]]
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    found = signatures["encoded_images"](images=encoded)["embeddings"]
    for image, embedding in zip(images, found, strict=True):
        expected = signatures["serving_default"](images=tf.constant(image[None]))["embeddings"]
        np.testing.assert_allclose(embedding, expected[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "gif", "webp"])
def test_common_kinds_of_files_are_decoded(saved, kind, tmp_path):
    image = pixels(1)[0]
    keras.utils.array_to_img(image, scale=False).save(tmp_path / f"image.{kind}")
    signatures = tf.saved_model.load(str(saved)).signatures
    encoded = tf.constant([(tmp_path / f"image.{kind}").read_bytes()])
    found = signatures["encoded_images"](images=encoded)["embeddings"]
    expected = signatures["serving_default"](images=tf.constant(image[None]))["embeddings"]
    assert float(tf.reduce_sum(found * expected)) > 0.8  # cosine; GIF keeps 256 colours


def test_savedmodel_describes_itself(saved):
    description = json.loads((saved / "assets.extra" / "encoder.json").read_text())
    assert description.pop("and_tf_version")
    assert description == {"image_size": 32, "embedding_dim": 16, "encoder": "resnet_small"}


def test_savedmodel_runs_without_this_package(encoder, saved, tmp_path):
    np.save(tmp_path / "images.npy", pixels())
    code = (
        "import sys; sys.modules['and_tf'] = None; sys.modules['keras'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        f"serve = tf.saved_model.load({str(saved)!r}).signatures['serving_default']\n"
        "images = tf.constant(np.load('images.npy'))\n"
        "np.save('found.npy', serve(images=images)['embeddings'])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    expected = encoder.predict(pixels(), verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=TOLERANCE)


@pytest.mark.parametrize("format", ["savedmodel", "onnx"])
def test_an_export_replaces_the_one_before(encoder, format, tmp_path):
    path = tmp_path / f"model{SUFFIXES[format]}"
    older = encoders.build_encoder("resnet_small", embedding_dim=4)
    export.export_encoder(older, path, format)
    export.export_encoder(encoder, path, format)
    assert export.load_exported(path).embedding_dim == 16
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("format", ["savedmodel", "keras"])
def test_a_failed_export_keeps_the_one_before(encoder, format, tmp_path, monkeypatch):
    path = tmp_path / f"model{SUFFIXES[format]}"
    export.export_encoder(encoder, path, format)

    def full_disk(encoder, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setitem(writers._WRITERS, format, full_disk)
    with pytest.raises(OSError, match="No space left"):
        export.export_encoder(encoder, path, format)
    assert os.listdir(tmp_path) == [path.name]
    assert export.verify_export(encoder, path, format, pixels()) < TOLERANCE


def test_a_directory_that_is_no_export_is_not_overwritten(encoder, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(ValueError, match="photos exists and is no export"):
        export.export_encoder(encoder, tmp_path / "photos", "savedmodel")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [("model", "pickle", "Unknown format 'pickle'"), ("model.pb", "onnx", "ending in .onnx")],
)
def test_wrong_targets_are_named(encoder, tmp_path, name, format, message):
    with pytest.raises(ValueError, match=message):
        export.export_encoder(encoder, tmp_path / name, format)


def test_a_missing_or_unknown_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.onnx does not exist"):
        export.load_exported(tmp_path / "nothing.onnx")
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"model\.h5 is no exported encoder"):
        export.load_exported(tmp_path / "model.h5")


@pytest.mark.parametrize("format", export.FORMATS)
def test_damaged_files_are_named_in_one_line(format, tmp_path):
    path = tmp_path / f"model{SUFFIXES[format]}"
    if format == "savedmodel":
        path.mkdir()
    (path / "saved_model.pb" if path.is_dir() else path).write_bytes(b"damaged" * 9)
    with pytest.raises(
        ValueError, match=r"cannot be read as an? .* Export the encoder anew"
    ) as error:
        export.load_exported(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_foreign_models_are_refused(tmp_path):
    classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    classifier.export(tmp_path / "model", verbose=False)
    classifier.save(tmp_path / "model.keras")
    classifier.export(tmp_path / "model.tflite", format="litert", verbose=False)
    for name in ("model", "model.keras", "model.tflite"):
        with pytest.raises(ValueError, match=f"{name} is not an encoder written by export.py"):
            export.load_exported(tmp_path / name)


def test_images_of_another_size_or_type_are_refused(saved):
    exported = export.load_exported(saved)
    with pytest.raises(ValueError, match=r"\(B, 32, 32, 3\). Received uint8 of shape \(2, 40"):
        exported(np.zeros((2, 40, 32, 3), "uint8"))
    with pytest.raises(ValueError, match="Received float32"):
        exported(np.zeros((2, 32, 32, 3), "float32"))


def test_a_missing_converter_comes_with_its_install_line(encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match="pip install tf2onnx onnx onnxruntime"):
        export.export_encoder(encoder, tmp_path / "model.onnx", "onnx")
