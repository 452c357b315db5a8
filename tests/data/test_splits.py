"""Splits in TFDS notation mean the same for every data set."""

import sys

import numpy as np
import pytest
from helpers.pictures import error_of, pixels

from and_tf.data.sources.opening import open_source


@pytest.mark.parametrize(
    "split, rows",
    [
        ("train", range(10)),
        ("train[:3]", range(3)),
        ("train[-3:]", range(7, 10)),
        ("train[20%:]", range(2, 10)),
        ("train[9:]", [9]),
        ("train[:2]+train[5:7]", [0, 1, 5, 6]),
        ("train[8:]+test[:1]", [8, 9, 10]),
        ("train+test", range(14)),
        ("all", range(14)),
    ],
)
def test_splits_follow_tfds_notation(tmp_path, split, rows):
    images, labels = pixels(14), np.arange(14) % 7
    path = tmp_path / "set.npz"
    np.savez(path, x_train=images[:10], y_train=labels[:10], x_test=images[10:], y_test=labels[10:])
    source = open_source(f"npz:{path}", split)
    assert source.labels.tolist() == [row % 7 for row in rows]
    np.testing.assert_array_equal(source.load(np.arange(len(source)), 8), images[list(rows)])


@pytest.mark.parametrize(
    "split", ["", "validation", "train[", "train[5:5]", "train[9999:]", "train[a:]", "train+dev"]
)
def test_impossible_splits_are_refused(split):
    message = error_of(open_source, "digits", split)
    assert repr(split) in message and "Available: train, test" in message


def test_a_plain_split_does_without_tfds(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert len(open_source("digits", "test")) == 360
    with pytest.raises(ImportError, match="pip install"):
        open_source("digits", "test[:5]")
