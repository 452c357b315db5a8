import errno
import os
import shutil
import tracemalloc

import numpy as np
import pytest

from and_tf.evaluation.feature_store import empty_features, row_blocks


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(23, 5)).astype("float32")


@pytest.fixture(params=["memory", "file"])
def features(request, rows, tmp_path):
    """The rows, written in batches whose last one is smaller."""
    features = empty_features(23, 5, tmp_path if request.param == "file" else None)
    assert isinstance(features, np.memmap) == (request.param == "file")
    for start in range(0, 23, 7):
        features[start : start + 7] = rows[start : start + 7]
    return features


def test_what_is_written_is_read(features, rows):
    assert features.shape == (23, 5) and features.dtype == np.float32
    np.testing.assert_array_equal(features, rows)
    np.testing.assert_array_equal(features[[22, 0, 5, 5]], rows[[22, 0, 5, 5]])


@pytest.mark.parametrize("size", [1, 4, 23, 50, None])
def test_blocks_are_all_rows_in_order(features, rows, size):
    for values in (features, rows, rows.astype("float64")):
        parts, found = zip(*row_blocks(values, size), strict=True)
        np.testing.assert_array_equal(np.concatenate(found), rows)
        assert [part.start for part in parts] == list(range(0, 23, size or 23))
        assert parts[-1].stop == 23 and found[0].dtype == np.float32


def test_going_over_a_file_takes_no_copy(tmp_path):
    features = empty_features(4000, 50, tmp_path)
    features[:] = 1
    tracemalloc.start()
    total = sum(float(block.sum()) for _, block in row_blocks(features, 200))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == features.size
    assert peak < features.nbytes / 10


def test_the_file_has_no_name_and_its_blocks_are_taken_at_once(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    free = shutil.disk_usage(tmp_path).free
    features = empty_features(1000, 25_000, tmp_path)  # 100 MB
    taken = free - shutil.disk_usage(tmp_path).free
    assert list(tmp_path.iterdir()) == []
    assert taken > 50e6  # other processes write, too
    del features
    assert len(os.listdir("/proc/self/fd")) == before


def no_room(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_named_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(ValueError, match=rf"{tmp_path} has no room for 6 MB"):
        empty_features(300_000, 5, tmp_path)


def test_without_fallocate_the_free_space_decides(tmp_path, monkeypatch, rows):
    monkeypatch.delattr(os, "posix_fallocate")
    features = empty_features(23, 5, tmp_path)
    features[:] = rows
    np.testing.assert_array_equal(features, rows)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 6, 3 << 20))
    with pytest.raises(ValueError, match="no room for 6 MB"):
        empty_features(300_000, 5, tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        empty_features(1, 1, tmp_path / "nowhere")
