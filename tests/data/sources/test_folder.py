"""Folders: the names decide on order, labels and splits."""

import io
import os

import numpy as np
import pytest
from helpers.pictures import error_of, pixels, write_images
from PIL import Image

from and_tf.data.settings import DataSettings
from and_tf.data.sources.class_folders import class_ids
from and_tf.data.sources.folder import folder_splits, open_folder
from and_tf.data.sources.opening import (
    available_splits,
    open_source,
    open_train_and_held_out,
)
from and_tf.data.splits import SourceOptions


def test_folder_is_sorted_nested_and_labelled_by_the_first_part(tmp_path):
    images = write_images(
        tmp_path, ["b/2.png", "b/10.PNG", "a/deep/er/1.bmp", "a.b/x.jpg", "b/y.JpEg", "b/z.webp"]
    )
    write_images(tmp_path, [".hidden/1.png", "b/._1.png"])
    (tmp_path / "b/notes.txt").write_text("no image")
    (tmp_path / "b/folder.jpg").mkdir()
    source = open_source(f"folder:{tmp_path}")
    assert source.names == sorted(images)
    assert source.class_names == ["a", "a.b", "b"]
    assert source.labels.dtype == np.int32
    assert [source.class_names[i] for i in source.labels] == [
        name.split("/")[0] for name in source.names
    ]
    expected = np.stack([images[name] for name in source.names])
    np.testing.assert_array_equal(source.load(np.arange(len(source)), 8), expected)
    np.testing.assert_array_equal(source.load([3, 0, 3], 8), expected[[3, 0, 3]])
    assert source.load([], 8).shape == (0, 8, 8, 3)


def test_one_image_beside_the_sub_folders_means_no_labels(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/1.png", "c.png"])
    source = open_source(f"folder:{tmp_path}")
    assert source.labels is None and source.class_names is None and len(source) == 3


def test_sub_folders_of_splits_are_the_splits(tmp_path):
    write_images(tmp_path / "train", ["a/1.png", "b/1.png", "c/1.png"])
    write_images(tmp_path / "test", ["c/1.png", "b/1.png"], seed=1)
    spec = f"folder:{tmp_path}"
    assert available_splits(spec) == ["train", "test"]
    test = open_source(spec, "test")
    assert test.names == ["b/1.png", "c/1.png"]
    assert test.class_names == ["a", "b", "c"] and test.labels.tolist() == [1, 2]
    both = open_source(spec, "train+test[1:]")
    assert both.labels.tolist() == [0, 1, 2, 2] and len(both.names) == 4


def test_a_class_that_training_lacks_is_refused(tmp_path):
    write_images(tmp_path / "train", ["a/1.png"])
    write_images(tmp_path / "validation", ["new/1.png"])
    assert "'new'" in error_of(open_source, f"folder:{tmp_path}", "validation")
    assert len(open_source(f"folder:{tmp_path}", "validation", labels="none")) == 1


def test_train_alone_is_a_class_and_not_a_split(tmp_path):
    write_images(tmp_path, ["train/1.png", "plane/1.png"])
    assert available_splits(f"folder:{tmp_path}") == ["train"]
    assert open_source(f"folder:{tmp_path}").class_names == ["plane", "train"]


def test_folders_without_images_are_refused(tmp_path):
    assert "is not a directory" in error_of(open_source, f"folder:{tmp_path}/missing")
    assert "holds no image (jpg, jpeg" in error_of(open_source, f"folder:{tmp_path}")
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.jpg").mkdir()
    assert f"{tmp_path} holds no image" in error_of(open_source, f"folder:{tmp_path}")


def test_broken_images_are_named_or_skipped(tmp_path, caplog):
    images = write_images(tmp_path, ["a/1.png", "a/2.png", "b/3.png", "b/4.png"], side=32)
    (tmp_path / "a/0.jpg").write_bytes(b"")
    (tmp_path / "b/9.gif").write_bytes(b"nonsense")
    message = error_of(open_source, f"folder:{tmp_path}")
    assert message.startswith("2 broken image(s), the first: ")
    assert f"{os.path.join('a', '0.jpg')} (empty file)" in message and "skip_broken=True" in message

    whole = (tmp_path / "b/3.png").read_bytes()
    (tmp_path / "b/3.png").write_bytes(whole[:-100])  # its header is still valid
    source = open_source(f"folder:{tmp_path}", skip_broken=True)
    assert source.names == ["a/1.png", "a/2.png", "b/4.png"]
    np.testing.assert_array_equal(source.load([2], 32)[0], images["b/4.png"])
    assert ["skipped 3 broken image(s) of 6: " in r.message for r in caplog.records] == [True]


def test_an_image_that_breaks_on_loading_is_named(tmp_path):
    write_images(tmp_path, ["1.png", "2.png"], side=32)
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:-100])
    source = open_source(f"folder:{tmp_path}")
    assert len(source.load([0], 32)) == 1
    message = error_of(source.load, [0, 1], 32)
    assert str(tmp_path / "2.png") in message and "skip_broken=True" in message


def test_only_broken_images_are_refused_even_if_skipped(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    assert "none is left" in error_of(open_source, f"folder:{tmp_path}", skip_broken=True)


def test_fingerprint_of_a_folder_sees_every_change(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    spec = f"folder:{tmp_path}"
    prints = [open_source(spec).fingerprint]
    assert open_source(spec, labels="none").fingerprint == prints[0]
    write_images(tmp_path, ["a/3.png"])
    prints.append(open_source(spec).fingerprint)
    (tmp_path / "a/3.png").rename(tmp_path / "a/4.png")
    prints.append(open_source(spec).fingerprint)
    with open(tmp_path / "a/4.png", "ab") as file:
        file.write(b"\0")
    prints.append(open_source(spec).fingerprint)
    assert len(set(prints)) == 4 and all(len(value) == 64 for value in prints)
    (tmp_path / "a/4.png").unlink()
    assert open_source(spec).fingerprint == prints[0]


def test_fingerprint_of_a_folder_survives_a_move(tmp_path):
    write_images(tmp_path / "here", ["a/1.png"])
    before = open_source(f"folder:{tmp_path}/here").fingerprint
    (tmp_path / "here").rename(tmp_path / "there")
    assert open_source(f"folder:{tmp_path}/there").fingerprint == before


def test_linked_folders_are_followed_and_circles_are_not(tmp_path):
    write_images(tmp_path / "elsewhere", ["1.png", "2.png"])
    write_images(tmp_path / "photos", ["b/3.png"])
    (tmp_path / "photos/a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/b/circle").symlink_to(tmp_path / "photos")
    source = open_source(f"folder:{tmp_path / 'photos'}")
    assert source.names == ["a/1.png", "a/2.png", "b/3.png"]
    assert source.class_names == ["a", "b"]


@pytest.mark.parametrize("train", ["train", "training"])
@pytest.mark.parametrize("held_out", ["validation", "valid", "val", "test"])
def test_folders_called_like_splits_are_splits(tmp_path, caplog, train, held_out):
    write_images(tmp_path / train, ["a/1.png", "b/1.png"])
    write_images(tmp_path / held_out, ["b/2.png"])
    spec = f"folder:{tmp_path}"
    first = "test" if held_out == "test" else "validation"
    assert available_splits(spec) == ["train", first]
    for name in {"train", train}:
        assert open_source(spec, name).class_names == ["a", "b"]
    for name in {first, held_out}:
        assert open_source(spec, name).labels.tolist() == [1]
    assert open_source(spec, f"{train}[:1]+{held_out}").names == ["a/1.png", "b/2.png"]
    _, opened = open_train_and_held_out(DataSettings(spec))
    assert opened.names == ["b/2.png"] and not caplog.records


def test_of_two_held_out_folders_validation_is_taken(tmp_path, caplog):
    for number, name in enumerate(("train", "val", "validation", "test")):
        write_images(tmp_path / name, [f"a/{number}.png"])
    _, held_out = open_train_and_held_out(DataSettings(f"folder:{tmp_path}"))
    assert held_out.names == ["a/2.png"]
    assert f"{tmp_path / 'val'} is left out" in caplog.text


@pytest.mark.parametrize("names", [("Train", "Val"), ("TEST", "apples"), ("train", "apples")])
def test_classes_called_like_splits_are_warned_of(tmp_path, caplog, names):
    write_images(tmp_path, [f"{name}/1.png" for name in names])
    assert open_source(f"folder:{tmp_path}").class_names == sorted(names)
    suspects = [name for name in sorted(names) if name != "apples"]
    assert f"{', '.join(suspects)} are read as classes" in caplog.text


def test_usual_classes_are_not_warned_of(tmp_path, caplog):
    write_images(tmp_path, ["cat/1.png", "trains/1.png"])
    open_source(f"folder:{tmp_path}")
    assert not caplog.records


def test_the_work_of_looking_up_classes_grows_with_the_images_alone():
    compared = []

    class Name(str):
        __slots__ = ()

        def __eq__(self, other):
            compared.append(other)
            return str(self) == str(other)

        __hash__ = str.__hash__

    names = [f"class{number:04}" for number in range(2000)]
    ids = class_ids([f"{name}/1.png" for name in names], [Name(name) for name in names])
    assert ids.tolist() == list(range(2000))
    assert len(compared) <= 2 * len(names)


def test_a_remark_is_logged_once_however_the_folder_is_written(tmp_path, monkeypatch, caplog):
    """As by embed.py, which opens a folder and then has a run trained on it."""
    write_images(tmp_path / "photos", ["a/1.png", "a/2.png", "stray.png"])
    (tmp_path / "photos" / "notes.txt").touch()
    (tmp_path / "photos" / "val").mkdir()
    (tmp_path / "photos" / "valid").mkdir()
    (tmp_path / "photos" / "train").mkdir()
    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO"):
        for path in ("photos", "./photos", str(tmp_path / "photos")):
            open_folder(path, labels="folders")
            folder_splits(path, SourceOptions(None, "folders", False))
    for words in ("left out 1 file", "there are no labels", "is left out: the split"):
        assert len([r for r in caplog.records if words in r.message]) == 1, words


def test_a_mended_file_is_logged_once_however_its_folder_is_written(tmp_path, monkeypatch, caplog):
    content = io.BytesIO()
    Image.fromarray(pixels(1)[0]).save(content, "JPEG")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(content.getvalue()[:-2])
    monkeypatch.chdir(tmp_path)
    for path in ("photos", str(tmp_path / "photos")):
        open_folder(path, decode=True).load([0], 8)
    assert len([r for r in caplog.records if "is read, but" in r.message]) == 1


def test_many_broken_files_among_very_many_are_counted_and_some_named(tmp_path, caplog):
    write_images(tmp_path, ["first.png"])
    content = (tmp_path / "first.png").read_bytes()
    for number in range(2000):
        broken = number % 40 == 7
        (tmp_path / f"{number:04}.png").write_bytes(content[: 20 if broken else None])
    message = error_of(open_source, f"folder:{tmp_path}")
    assert message.startswith("50 broken image(s)") and "0007.png" in message
    assert len(message) < 300 + len(str(tmp_path))
    source = open_source(f"folder:{tmp_path}", skip_broken=True)
    assert len(source) == 1951 and len(source.broken) == 50
    (text,) = [r.message for r in caplog.records if "skipped" in r.message]
    assert "skipped 50 broken image(s) of 2,001: 0007.png, 0047.png, 0087.png, ..." in text
