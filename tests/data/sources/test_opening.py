"""Data sets by name, and the two that a run needs."""

import numpy as np
import pytest
from helpers.pictures import error_of, pixels, write_images

from and_tf.data.settings import DataSettings
from and_tf.data.sources import SOURCES, Kind
from and_tf.data.sources.arrays import array_source
from and_tf.data.sources.opening import (
    _with_classes_of,
    absolute_spec,
    open_source,
    open_train_and_held_out,
)
from and_tf.data.splits import Splits
from and_tf.errors import NotFound


def test_labels_none_leaves_them_out_everywhere(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/1.png"])
    for spec in (f"folder:{tmp_path}", "digits"):
        source = open_source(spec, labels="none")
        assert source.labels is None and source.class_names is None
    assert "labels='maybe'" in error_of(open_source, "digits", labels="maybe")


@pytest.mark.parametrize("spec", ["", "digits:3", "cifar10", "folder:", "http://x/y", "tfds:"])
def test_unknown_data_sets_are_refused(spec):
    message = error_of(open_source, spec)
    assert f"data={spec!r}." in message and "tfds:NAME" in message


def write_npz(path, **lengths):
    arrays = {}
    for split, length in lengths.items():
        arrays[f"x_{split}"], arrays[f"y_{split}"] = pixels(length), np.arange(length)
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_held_out_is_validation_else_test_else_none(tmp_path):
    write_images(tmp_path / "three/train", ["a/1.png", "b/1.png"])
    write_images(tmp_path / "three/validation", ["b/2.png"])
    write_images(tmp_path / "three/test", ["b/3.png"])
    train, held_out = open_train_and_held_out(DataSettings(f"folder:{tmp_path}/three"))
    assert train.names == ["a/1.png", "b/1.png"] and held_out.names == ["b/2.png"]
    assert held_out.labels.tolist() == [1]
    _, held_out = open_train_and_held_out(
        DataSettings(f"folder:{tmp_path}/three", eval_split="test")
    )
    assert held_out.names == ["b/3.png"]
    train, held_out = open_train_and_held_out(DataSettings("digits", train_split="train[:50]"))
    assert (len(train), len(held_out)) == (50, 360)
    write_images(tmp_path / "flat", ["1.png", "2.png"])
    assert open_train_and_held_out(DataSettings(f"folder:{tmp_path}/flat"))[1] is None
    _, part = open_train_and_held_out(
        DataSettings(f"folder:{tmp_path}/flat", eval_split="train[1:]")
    )
    assert part.names == ["2.png"]


def test_held_out_data_of_its_own_falls_back_to_its_first_split(tmp_path):
    data = write_npz(tmp_path / "a.npz", train=6, test=3)
    alone = write_npz(tmp_path / "b.npz", train=4)
    assert len(open_train_and_held_out(DataSettings(alone, eval_data=data))[1]) == 3
    train, held_out = open_train_and_held_out(DataSettings(data, eval_data=alone))
    assert (len(train), len(held_out)) == (6, 4)
    assert held_out.labels.tolist() == [0, 1, 2, 3]  # no class names: ids are taken as they are
    assert (
        len(open_train_and_held_out(DataSettings(data, eval_data=alone, eval_split="train[:2]"))[1])
        == 2
    )


def test_held_out_labels_mean_what_training_labels_mean(tmp_path):
    write_images(tmp_path / "here", ["ant/1.png", "bee/1.png", "cat/1.png"])
    write_images(tmp_path / "there", ["cat/7.png", "bee/8.png"])
    here, there = f"folder:{tmp_path}/here", f"folder:{tmp_path}/there"
    _, held_out = open_train_and_held_out(DataSettings(here, eval_data=there))
    assert held_out.names == ["bee/8.png", "cat/7.png"]
    assert held_out.labels.tolist() == [1, 2] and held_out.labels.dtype == np.int32
    assert held_out.class_names == ["ant", "bee", "cat"]
    message = error_of(open_train_and_held_out, DataSettings(there, eval_data=here))
    assert "'ant'" in message and str(tmp_path / "there") in message
    _, held_out = open_train_and_held_out(DataSettings(there, eval_data=here, labels="none"))
    assert held_out.labels is None and len(held_out) == 3


def test_images_without_a_label_stay_without_one():
    train = array_source(pixels(2), [0, 1], class_names=["ant", "bee"])
    held_out = array_source(pixels(3), [1, -1, 1], class_names=["wasp", "ant"])
    assert _with_classes_of(train, held_out).labels.tolist() == [0, -1, 0]


def test_paths_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_images(tmp_path / "photos", ["1.png"])
    assert len(open_source("folder:~/photos")) == 1
    write_npz(tmp_path / "a.npz", train=3)
    assert len(open_source("npz:~/a.npz")) == 3


@pytest.mark.parametrize("spec", ["digits", "tfds:cifar10", "", "nonsense:x", "folder:"])
def test_specs_without_a_path_stay(spec):
    assert absolute_spec(spec) == spec


def test_specs_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert absolute_spec("folder:photos/") == f"folder:{tmp_path}/photos"
    assert absolute_spec("npz:../a.npz") == f"npz:{tmp_path.parent}/a.npz"
    assert absolute_spec("mat:~/svhn") == "mat:/home/me/svhn"
    assert absolute_spec("folder:/a/b") == "folder:/a/b"


def test_another_kind_of_data_set_is_one_function_and_one_line(monkeypatch):
    def noise_splits(path, options):
        return Splits(train=lambda: array_source(pixels(int(path))))

    monkeypatch.setitem(SOURCES, "noise", Kind(noise_splits, "NUMBER"))
    assert len(open_source("noise:5")) == 5
    assert len(open_source("noise:5", "train[1:3]")) == 2
    assert "noise:NUMBER" in error_of(open_source, "noise")


def test_an_error_of_the_images_to_evaluate_on_names_their_argument():
    data = DataSettings(data="digits", eval_data="npz:/none.npz")
    with pytest.raises(NotFound, match=r"eval_data='npz:/none\.npz' does not exist"):
        open_train_and_held_out(data)


def test_a_path_alone_is_a_folder(tmp_path, monkeypatch):
    write_images(tmp_path / "photos", ["a/1.png", "b/2.png"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spec in (f"{tmp_path}/photos", "photos", "./photos", "~/photos", "photos/"):
        assert absolute_spec(spec) == f"folder:{tmp_path}/photos"
        assert open_source(spec).class_names == ["a", "b"]
    for missing in ("/nowhere/photos", "./nowhere", "~/nowhere"):
        assert "is not a directory" in error_of(open_source, missing)
    assert "path of a folder" in error_of(open_source, "nowhere")


def test_the_name_of_a_data_set_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    write_images(tmp_path / "digits", ["1.png"])
    monkeypatch.chdir(tmp_path)
    assert len(open_source("digits")) > 1000
    assert absolute_spec("digits") == "digits"
