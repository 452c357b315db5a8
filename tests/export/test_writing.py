"""Exports give the embeddings of the encoder in every format, and replace one another whole."""

import errno
import json
import os
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.small_runs import small_encoder
from helpers.thin_resnet import thin_resnets
from helpers.trained_encoders import smooth_pixels, trained_encoder

from and_tf import encoders, export
from and_tf.errors import MissingPackage, UserError
from and_tf.export.metadata import file_checksum, path_beside

TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=["resnet_small", "alexnet", "split resnet_small"])
def any_encoder(request):
    *split, name = request.param.split()
    with pytest.MonkeyPatch.context() as patch:
        if split:  # whose halves matter, and Lab
            thin_resnets(patch)
        return trained_encoder(name, split=bool(split))


@pytest.fixture(scope="module")
def small():
    """Of one convolution, where only the file counts."""
    return small_encoder("small", (32, 32, 3), 16)


def file_name(format):
    return f"model{export.FORMATS[format].suffix}"


def files_of(path, format):
    return {path.name} | ({f"{path.name}.encoder.json"} if export.FORMATS[format].suffix else set())


EXACT = [name for name, form in export.FORMATS.items() if form.min_cosine is None]


@pytest.mark.parametrize("format", EXACT)
def test_every_format_gives_the_embeddings_of_the_encoder(any_encoder, format, tmp_path):
    images = smooth_pixels()
    expected = any_encoder.predict(images, verbose=0)
    path = tmp_path / file_name(format)
    assert export.export_encoder(any_encoder, path, format) == path
    assert set(os.listdir(tmp_path)) == files_of(path, format)  # nothing left beside them

    exported = export.load_exported(path)
    assert (exported.image_size, exported.embedding_dim) == (32, 16)
    for count in (1, 8, 3, 0):
        found = exported(images[:count])
        assert found.dtype == np.float32 and found.shape == (count, 16)
        np.testing.assert_allclose(found, expected[:count], atol=TOLERANCE)
    assert export.verify_export(any_encoder, path, format, images) < TOLERANCE


@pytest.mark.parametrize("format", ["savedmodel", "keras"])
def test_verification_sees_other_weights(small, format, tmp_path):
    path = export.export_encoder(small, tmp_path / file_name(format), format)
    other = keras.models.clone_model(small)
    other.set_weights([weight * 1.1 + 0.01 for weight in small.get_weights()])
    assert export.verify_export(other, path, format, smooth_pixels(3)) > 10 * TOLERANCE


def test_mixed_precision_encoders_are_exported_in_float32(encoder, tmp_path, monkeypatch):
    thin_resnets(monkeypatch)  # as `encoder` is
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        mixed = encoders.build_encoder(
            "resnet_small", embedding_dim=16, mean=(120, 121, 122), std=(60, 61, 62)
        )
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(encoder.get_weights())
    images = smooth_pixels()
    expected = encoder.predict(images, verbose=0)
    for format in ("onnx", "litert"):
        path = export.export_encoder(mixed, tmp_path / file_name(format), format)
        np.testing.assert_allclose(export.load_exported(path)(images), expected, atol=TOLERANCE)
        assert export.verify_export(mixed, path, format, images) < TOLERANCE


@pytest.mark.parametrize("format", ["savedmodel", "onnx"])
def test_an_export_replaces_the_one_before(small, format, tmp_path):
    path = tmp_path / file_name(format)
    older = small_encoder("older", (32, 32, 3), 4)
    export.export_encoder(older, path, format)
    export.export_encoder(small, path, format)
    assert export.load_exported(path).embedding_dim == 16
    assert set(os.listdir(tmp_path)) == files_of(path, format)


@pytest.mark.parametrize("format", ["savedmodel", "keras"])
def test_a_failed_export_keeps_the_one_before(small, format, tmp_path, monkeypatch):
    path = export.export_encoder(small, tmp_path / file_name(format), format)
    (tmp_path / "full_disk.py").write_text(
        "from and_tf.export.keras_file import read\n"
        "def write(encoder, path, details):\n"
        "    path.write_bytes(b'half')\n"
        "    raise OSError('No space left on device')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    full = export.FORMATS[format]._replace(module="full_disk")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setitem(export.FORMATS, format, full)
        export.export_encoder(small, path, format)
    assert not [name for name in os.listdir(tmp_path) if "partial" in name]
    assert export.verify_export(small, path, format, smooth_pixels()) < TOLERANCE


@pytest.mark.parametrize("format", ["savedmodel", "keras"])
def test_an_export_is_checked_before_it_takes_its_place(small, format, tmp_path):
    path = export.export_encoder(small, tmp_path / file_name(format), format)
    other = small_encoder("other", (32, 32, 3), 4)

    def refuse(new):
        assert export.load_exported(new).embedding_dim == 4
        assert export.load_exported(path).embedding_dim == 16
        raise UserError("not good enough")

    with pytest.raises(UserError, match="not good enough"):
        export.export_encoder(other, path, format, check=refuse)
    assert export.load_exported(path).embedding_dim == 16
    assert set(os.listdir(tmp_path)) == files_of(path, format)


def test_what_a_kill_left_is_removed_and_what_others_left_is_no_obstacle(small, tmp_path):
    (tmp_path / ".model.keras.0123abcd.partial" / "model.keras").mkdir(parents=True)
    stray = (".model.keras.writing", ".model.keras.older", ".model.keras.4567abcd.partial")
    for name in stray:
        (tmp_path / name).write_text("of somebody else")
    path = export.export_encoder(small, tmp_path / "model.keras", "keras")
    assert set(os.listdir(tmp_path)) == files_of(path, "keras").union(stray)


def test_a_new_format_takes_one_file_and_one_line(small, tmp_path, monkeypatch):
    (tmp_path / "weights_only.py").write_text(
        "def write(encoder, path, details):\n"
        "    encoder.save_weights(path.with_suffix('.weights.h5'))\n"
        "    path.with_suffix('.weights.h5').rename(path)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    line = type(export.FORMATS["onnx"])(".h5", "weights_only")
    monkeypatch.setitem(export.FORMATS, "weights", line)
    path = export.export_encoder(small, tmp_path / "out" / "encoder.h5", "weights")
    assert path.stat().st_size > 1000


def test_a_directory_that_is_not_an_export_is_not_overwritten(small, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(UserError, match="photos exists and is not an export"):
        export.export_encoder(small, tmp_path / "photos", "savedmodel")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [("model", "pickle", "Unknown format 'pickle'"), ("model.pb", "onnx", "ending in .onnx")],
)
def test_wrong_targets_are_named(small, tmp_path, name, format, message):
    with pytest.raises(UserError, match=message):
        export.export_encoder(small, tmp_path / name, format)


def test_a_missing_converter_comes_with_its_install_line(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(MissingPackage, match="pip install tf2onnx onnx onnxruntime"):
        export.export_encoder(small, tmp_path / "model.onnx", "onnx")


@pytest.mark.parametrize("format", ["savedmodel", "litert"])
def test_a_full_disk_is_an_error_of_the_system_and_no_lack_of_memory(
    small, format, tmp_path, monkeypatch
):
    def refuse(*others, **more):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    archive = types.SimpleNamespace(track=id, write_out=refuse)
    archive.add_endpoint = lambda *others, **more: None
    monkeypatch.setattr(keras.export, "ExportArchive", lambda: archive)
    with pytest.raises(OSError) as error:
        export.export_encoder(small, tmp_path / file_name(format), format)
    assert error.value.errno == errno.ENOSPC and not os.listdir(tmp_path)


def test_a_kill_before_the_description_leaves_no_older_one_beside_the_new_file(
    small, tmp_path, monkeypatch
):
    path = tmp_path / "model.keras"
    beside = path_beside(path)
    export.export_encoder(small, path, "keras")
    assert json.loads(beside.read_text())["checksum"] == file_checksum(path)
    before = beside.read_text(), path.read_bytes()

    def refuse(*others):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # before the new file is in its place
        export.export_encoder(small, path, "keras", check=refuse)
    assert (beside.read_text(), path.read_bytes()) == before
    monkeypatch.setattr("and_tf.export.writing.write_beside", refuse)
    with pytest.raises(KeyboardInterrupt):
        export.export_encoder(small, path, "keras", layer="another")
    assert path.read_bytes() != before[1] and os.listdir(tmp_path) == [path.name]
    assert export.load_exported(path).image_size == 32  # it holds its own
