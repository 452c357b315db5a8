"""Archives from elsewhere may not unpack to far more than their size."""

import zipfile

import numpy as np
import pytest

import and_tf
from and_tf.data.sources import npz
from and_tf.data.sources.opening import open_source
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


def test_images_may_pack_to_a_hundredth_and_not_to_more_than_there_is_memory(tmp_path, monkeypatch):
    path = tmp_path / "few_colours.npz"
    np.savez_compressed(path, x_train=np.zeros((60, 64, 64), np.uint8))
    monkeypatch.setattr(npz, "memory_bytes", lambda: 1 << 20)
    assert len(open_source(f"npz:{path}")) == 60
    monkeypatch.setattr(npz, "memory_bytes", lambda: 1 << 16)
    with pytest.raises(BrokenFile, match="it unpacks to"):
        open_source(f"npz:{path}")
