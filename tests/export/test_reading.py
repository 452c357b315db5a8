"""What is not an export, or not ours, is refused in one line that names it."""

import json

import keras
import numpy as np
import pytest

from and_tf import export
from and_tf.errors import BrokenFile, NotFound, UserError
from and_tf.export.savedmodel_files import content_checksum


def test_a_missing_or_unknown_file_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"nothing\.onnx does not exist"):
        export.load_exported(tmp_path / "nothing.onnx")
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(BrokenFile, match=r"model\.h5 is not an exported encoder"):
        export.load_exported(tmp_path / "model.h5")


@pytest.mark.parametrize("format", export.FORMATS)
def test_corrupt_files_are_named_in_one_line(format, tmp_path):
    path = tmp_path / f"model{export.FORMATS[format].suffix}"
    if format == "savedmodel":
        path.mkdir()
    (path / "saved_model.pb" if path.is_dir() else path).write_bytes(b"corrupt" * 9)
    if path.is_dir():
        (path / "assets.extra").mkdir()
        told = json.dumps({"checksum": content_checksum(path)})
        (path / "assets.extra" / "encoder.json").write_text(told)
    with pytest.raises(
        BrokenFile, match=r"cannot be read as an? .* Export the encoder again"
    ) as error:
        export.load_exported(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_foreign_models_are_refused(tmp_path):
    classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    classifier.export(tmp_path / "model", verbose=False)
    classifier.save(tmp_path / "model.keras")
    classifier.export(tmp_path / "model.tflite", format="litert", verbose=False)
    for name in ("model", "model.keras", "model.tflite"):
        with pytest.raises(BrokenFile, match=f"{name} is not an encoder written by export.py"):
            export.load_exported(tmp_path / name)


def test_images_of_another_size_or_type_are_refused(saved):
    exported = export.load_exported(saved)
    with pytest.raises(UserError, match=r"\(B, 32, 32, 3\). Received uint8 of shape \(2, 40"):
        exported(np.zeros((2, 40, 32, 3), "uint8"))
    with pytest.raises(UserError, match="Received float32"):
        exported(np.zeros((2, 32, 32, 3), "float32"))


def test_a_home_folder_is_found(saved, monkeypatch):
    monkeypatch.setenv("HOME", str(saved.parent))
    assert export.load_exported(f"~/{saved.name}").embedding_dim == 16
