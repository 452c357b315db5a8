import errno
import shutil
import tracemalloc

import numpy as np
import pytest

from and_tf.evaluation.feature_store import Features, check_room, chosen_rows, row_blocks


def stored(rows, folder, batch=7):
    """The rows, written in batches whose last one is smaller."""
    features = Features(rows.shape, folder)
    for start in range(0, len(rows), batch):
        features.write(start, rows[start : start + batch])
    return features


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(23, 5)).astype("float32")


@pytest.fixture(params=["memory", "file"])
def features(request, rows, tmp_path):
    with stored(rows, tmp_path if request.param == "file" else None) as features:
        assert features.in_memory == (request.param == "memory")
        yield features


def test_what_is_written_is_read(features, rows):
    assert features.shape == np.shape(features) == (23, 5) and len(features) == 23
    assert features.num_bytes == rows.nbytes
    np.testing.assert_array_equal(features.load(), rows)
    for part in (slice(4, 9), slice(20, 99), slice(30, 40), slice(None, 3), slice(-2, None)):
        np.testing.assert_array_equal(features[part], rows[part])


@pytest.mark.parametrize("size", [1, 4, 23, 50, None])
def test_blocks_are_all_rows_in_order(features, rows, size):
    for values in (features, rows, rows.astype("float64")):
        parts, found = zip(
            *((p, block.copy()) for p, block in row_blocks(values, size)), strict=True
        )
        np.testing.assert_array_equal(np.concatenate(found), rows)
        assert [part.start for part in parts] == list(range(0, 23, size or 23))
        assert parts[-1].stop == 23 and found[0].dtype == np.float32


def test_chosen_rows_come_in_the_order_asked_for(features, rows):
    indices = np.array([22, 0, 5, 5])
    np.testing.assert_array_equal(chosen_rows(features, indices), rows[indices])
    np.testing.assert_array_equal(chosen_rows(rows, indices), rows[indices])


def test_a_row_may_be_written_twice(features, rows):
    features.write(3, np.zeros((2, 5)))
    np.testing.assert_array_equal(features[2:6], np.vstack([rows[2], np.zeros((2, 5)), rows[5]]))


def test_blocks_in_memory_are_views_and_blocks_of_a_file_share_a_buffer(rows, tmp_path):
    with stored(rows, None) as features:
        assert all(np.shares_memory(block, features.load()) for _, block in row_blocks(features, 9))
    with stored(rows, tmp_path) as features:
        first, second, _ = (block for _, block in row_blocks(features, 9))
        assert np.shares_memory(first, second)


def test_going_over_a_file_takes_one_block_of_memory(tmp_path):
    rows = np.ones((4000, 50), "float32")
    with stored(rows, tmp_path, batch=500) as features:
        tracemalloc.start()
        total = sum(float(block.sum()) for _, block in row_blocks(features, 200))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert total == rows.sum()
    assert peak < rows.nbytes / 10


def test_the_file_has_no_name_and_is_gone_when_closed(rows, tmp_path):
    with stored(rows, tmp_path) as features:
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed file"):
        features.load()


def test_only_whole_runs_of_rows_are_read(rows, tmp_path):
    with stored(rows, tmp_path) as features, pytest.raises(ValueError, match="whole runs"):
        features[::2]


def test_too_little_room_is_named_with_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 6, 3 << 20)
    )
    check_room(3 << 20, tmp_path)
    with pytest.raises(OSError, match=rf"{tmp_path} has 3 MB free and the features need 4 MB"):
        check_room(4 << 20, tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        check_room(1, tmp_path / "nowhere")


def test_a_disk_that_fills_up_is_named(rows, tmp_path):
    class Full:
        def seek(self, offset): ...

        def close(self): ...

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    with Features((300_000, 5), tmp_path) as features:
        features._file.close()
        features._file = Full()
        with pytest.raises(OSError, match=rf"6 MB cannot be written to {tmp_path} \(No space left"):
            features.write(0, rows)


def test_a_file_that_was_cut_short_is_refused(rows, tmp_path):
    with stored(rows, tmp_path) as features:
        features._file.truncate(100)
        with pytest.raises(OSError, match="cut short"):
            features.load()
