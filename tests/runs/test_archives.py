"""Archives from elsewhere may not unpack to far more than their size."""

import zipfile

import pytest

import and_tf
from and_tf.errors import BrokenFile
from and_tf.export import load_exported
from and_tf.runs import archives
from and_tf.runs.archives import check_keras_archive, check_unpacked_size


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, size in members.items():
            file.writestr(name.replace("__", "."), b" " * size)
    return path


def test_an_archive_may_unpack_to_a_multiple_of_its_size(tmp_path):
    path = archive(tmp_path / "a.npz", a__npy=5000, b__npy=5000)
    check_unpacked_size(path)
    check_unpacked_size(path, always_bytes=10_000)
    with pytest.raises(ValueError, match=r"unpacks to 0\.0 GB"):
        check_unpacked_size(path, always_bytes=9_999)


def test_layers_beyond_all_measure_are_refused_before_keras_reads_them(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "TEXT_BYTES", 1000)
    check_keras_archive(archive(tmp_path / "a.keras", config__json=1000, model__weights__h5=9000))
    path = archive(tmp_path / "a.keras", config__json=1001)
    for read in (load_exported, and_tf.load_encoder):
        with pytest.raises(BrokenFile, match=r"a\.keras cannot be read.*config\.json unpacks to"):
            read(path)
