"""Labels with gaps or huge ids are classes 0..C - 1, the same in every split."""

import numpy as np
import pytest
from helpers.pictures import error_of, pixels, write_images
from scipy.io import savemat

from and_tf.data.settings import DataSettings
from and_tf.data.sources.arrays import array_source
from and_tf.data.sources.opening import open_source, open_train_and_held_out


def write_npz(path, train, test=None, dtype=np.int64):
    arrays = {"x_train": pixels(len(train)), "y_train": np.array(train, dtype)}
    if test is not None:
        arrays |= {"x_test": pixels(len(test), seed=1), "y_test": np.array(test, dtype)}
    np.savez(path, **arrays)
    return f"npz:{path}"


@pytest.mark.parametrize(
    "ids", [(0, 10_000, 20_000, 30_000), (1, 2, 3, 4), (0, 1, 2, 1_500_000_000), (7, 5 << 40)]
)
def test_ids_become_the_names_of_consecutive_classes(tmp_path, ids):
    spec = write_npz(tmp_path / "a.npz", [*ids[::-1], -1, ids[0]], [ids[-1], ids[0], -1])
    train, test = open_source(spec), open_source(spec, "test")
    count = len(ids)
    assert train.labels.tolist() == [*range(count)[::-1], -1, 0]
    assert train.labels.dtype == test.labels.dtype == np.int32
    assert test.labels.tolist() == [count - 1, 0, -1]
    assert train.class_names == test.class_names == [str(number) for number in ids]
    both = open_source(spec, "train+test")
    assert both.labels.tolist() == [*train.labels, *test.labels]


def test_unsigned_labels_in_a_column(tmp_path):
    spec = write_npz(tmp_path / "a.npz", [[200], [100]], dtype=np.uint8)
    assert open_source(spec).labels.tolist() == [1, 0]


def test_a_class_that_training_lacks_is_refused_as_in_folders(tmp_path):
    spec = write_npz(tmp_path / "a.npz", [0, 1], [1, 7])
    message = error_of(open_source, spec, "test")
    assert "test holds the class '7'" in message and "labels='none'" in message
    assert len(open_source(spec, "test", labels="none")) == 2
    assert len(open_source(spec, "train")) == 2


def test_of_mat_files_too(tmp_path):
    for name, labels in (("train", [1, 2]), ("test", [10])):
        images = pixels(len(labels), side=32).transpose(1, 2, 3, 0)
        savemat(tmp_path / f"{name}_32x32.mat", {"X": images, "y": np.array(labels)[:, None]})
    assert "holds the class '0'" in error_of(open_source, f"mat:{tmp_path}", "test")
    assert len(open_source(f"mat:{tmp_path}", "test", labels="none")) == 1
    assert open_source(f"mat:{tmp_path}").labels.tolist() == [1, 2]


def test_other_files_share_the_classes_of_training(tmp_path):
    train = write_npz(tmp_path / "a.npz", [0, 10, 20, 30])
    other = write_npz(tmp_path / "b.npz", [30, 10])
    _, held_out = open_train_and_held_out(DataSettings(train, eval_data=other))
    assert held_out.labels.tolist() == [3, 1] and held_out.class_names == ["0", "10", "20", "30"]
    message = error_of(open_train_and_held_out, DataSettings(other, eval_data=train))
    assert "holds the class '0'" in message


def test_numbers_and_names_are_matched_by_number(tmp_path):
    numbers = write_npz(tmp_path / "a.npz", [0, 1, 2])
    part = write_npz(tmp_path / "b.npz", [2, 0])
    write_images(tmp_path / "c", ["ant/1.png", "bee/1.png", "cat/1.png"])
    write_images(tmp_path / "d", ["2/1.png", "10/1.png"])
    names, digits = f"folder:{tmp_path}/c", f"folder:{tmp_path}/d"
    _, held_out = open_train_and_held_out(DataSettings(names, eval_data=part))
    assert held_out.labels.tolist() == [2, 0] and held_out.class_names == ["ant", "bee", "cat"]
    _, held_out = open_train_and_held_out(DataSettings(numbers, eval_data=names))
    assert held_out.labels.tolist() == [0, 1, 2]
    ten = write_npz(tmp_path / "e.npz", range(11))
    _, held_out = open_train_and_held_out(DataSettings(ten, eval_data=digits))
    assert held_out.labels.tolist() == [10, 2]


def test_runs_that_knew_the_labels_of_the_file_go_on(tmp_path):
    from zlib import crc32

    from and_tf.training.unchanged import _checksum_of

    labels = np.array([0, 30_000, -1, 10_000], np.int32)
    source = open_source(write_npz(tmp_path / "a.npz", labels))
    assert _checksum_of(source) == crc32(labels.data) != crc32(source.labels.data)
    assert _checksum_of(source.take([1, 2])) == crc32(np.ascontiguousarray(labels[1:3]).data)


def test_arrays_take_their_ids(tmp_path):
    source = array_source(pixels(3), [30, -1, 10], class_ids=[10, 20, 30])
    assert source.labels.tolist() == [2, -1, 0] and source.class_names == ["10", "20", "30"]
    assert "the label 7" in error_of(array_source, pixels(1), [7], class_ids=[10])
    message = error_of(array_source, pixels(2), [0, 1_500_000_000])
    assert "give array_source their numbers as class_ids" in message
