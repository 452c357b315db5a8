"""Digits, .npz and .mat files."""

import numpy as np
from helpers.pictures import error_of, pixels
from scipy.io import savemat

from and_tf.data.sources.opening import available_splits, open_source


def test_digits_are_split_once_and_for_all():
    from sklearn.datasets import load_digits

    train, test = open_source("digits"), open_source("digits", "test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.shape == (1437, 8, 8, 3) and train.images.max() == 255
    assert np.bincount(test.labels).min() >= 34  # stratified
    # Together they are all digits, each split in the order of scikit-learn.
    rows = {image.tobytes(): row for row, image in enumerate(load_digits().images)}
    found = [
        [rows[(image[..., 0] * (16 / 255)).round().tobytes()] for image in source.images]
        for source in (train, test)
    ]
    assert all(part == sorted(part) for part in found)
    assert sorted(found[0] + found[1]) == list(range(1797))
    assert open_source("digits").fingerprint == train.fingerprint != test.fingerprint


def test_npz_without_labels_or_test(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=pixels(3)[..., 0])
    spec = f"npz:{tmp_path}/x.npz"
    source = open_source(spec)
    assert source.labels is None and source.images.shape == (3, 8, 8, 3)
    assert available_splits(spec) == ["train"]
    assert "Available: train" in error_of(open_source, spec, "test")


def test_damaged_npz_files_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    spec = f"npz:{path}"
    assert "does not exist" in error_of(open_source, spec)
    np.savez(path, images=pixels(3))
    assert "x_train" in error_of(open_source, spec) and "images" in error_of(open_source, spec)
    np.savez(path, x_train=np.array([{"an": "object"}], dtype=object))
    assert "Cannot read" in error_of(open_source, spec)
    np.savez(path, x_train=pixels(30))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "Cannot read" in error_of(open_source, spec)
    path.write_bytes(whole[:2000] + b"\0" * 500 + whole[2500:])
    assert "Cannot read" in error_of(open_source, spec)
    path.write_bytes(b"")
    assert "Cannot read" in error_of(open_source, spec)
    with open(path, "wb") as file:
        np.save(file, pixels(3))
    assert "numpy.savez" in error_of(open_source, spec)
    np.savez(path, x_train=pixels(3) / 255)
    assert "float64" in error_of(open_source, spec)


def test_mat_files_have_images_last_and_ten_for_zero(tmp_path):
    images, labels = pixels(4, side=32), [10, 1, 9, 10]
    arrays = {"X": images.transpose(1, 2, 3, 0), "y": np.array(labels, np.uint8)[:, None]}
    savemat(tmp_path / "train_32x32.mat", arrays)
    source = open_source(f"mat:{tmp_path}")
    np.testing.assert_array_equal(source.images, images)
    assert source.labels.tolist() == [0, 1, 9, 0] and source.class_names[9] == "9"
    assert available_splits(f"mat:{tmp_path}") == ["train"]


def test_damaged_mat_files_are_refused(tmp_path):
    assert "train_32x32.mat" in error_of(open_source, f"mat:{tmp_path}")
    (tmp_path / "train_32x32.mat").write_bytes(b"nonsense")
    assert "Cannot read" in error_of(open_source, f"mat:{tmp_path}")
    savemat(tmp_path / "train_32x32.mat", {"Z": np.zeros(3)})
    assert "no variable 'X'" in error_of(open_source, f"mat:{tmp_path}")
