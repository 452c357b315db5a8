"""What counts as an image of a folder, and what is said of the rest."""

import logging
import os
import shutil
import types
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from helpers.pictures import error_of, write_images

from and_tf.data import check_cache, file_checks, formats
from and_tf.data.settings import DataSettings
from and_tf.data.sources import image_files
from and_tf.data.sources.class_folders import folders_of_classes
from and_tf.data.sources.image_files import find_images
from and_tf.data.sources.opening import open_images_of_run, open_source


@pytest.fixture(autouse=True)
def told(caplog):
    caplog.set_level(logging.INFO, "and_tf")
    return caplog


def test_files_of_further_kinds_are_images(tmp_path):
    write_images(tmp_path, ["1.jfif", "2.JPE", "3.tif", "4.TIFF", "5.apng", "6.mpo", "7.dib"])
    assert len(open_source(f"folder:{tmp_path}")) == 7  # whatever they hold, Pillow finds out


def test_files_left_out_are_counted_by_kind(tmp_path, told, monkeypatch):
    monkeypatch.setattr(image_files, "EXTENSIONS", ("jpg", "png"))
    monkeypatch.setattr(formats, "FORMATS", ("JPEG", "PNG"))
    write_images(tmp_path, ["a/1.png", "b/2.jpg"])
    for name in ["1.HEIC", "b/2.heic", "1.mov", "jpg", "b/png", "b/notes.TXT", ".hidden"]:
        (tmp_path / name).write_text("")
    (tmp_path / "a/Thumbs.db").write_text("")
    assert len(open_source(f"folder:{tmp_path}")) == 2
    (record,) = [r for r in told.records if "left out" in r.message]
    assert record.message == (
        f"{tmp_path}: left out 6 files that are not images this program reads: "
        "2 .heic (pip install pillow-heif), 2 without an ending, 1 .mov, 1 .txt."
    )
    assert record.levelno == logging.WARNING  # photos are missing


def test_files_beside_photos_are_no_warning_and_many_kinds_are_summed_up(tmp_path, told):
    write_images(tmp_path, ["1.png"])
    for number in range(12):
        (tmp_path / f"{number}.kind{number}").write_text("")
    open_source(f"folder:{tmp_path}")
    (record,) = told.records
    assert record.levelno == logging.INFO and record.message.endswith("4 of other kinds.")
    open_source(f"folder:{tmp_path}")
    assert len(told.records) == 1  # once is enough


def test_a_folder_of_other_photos_alone_says_what_it_holds(tmp_path):
    (tmp_path / "1.cr2").write_text("")
    (tmp_path / "jpg").write_text("")
    message = error_of(open_source, f"folder:{tmp_path}")
    assert "holds no image (jpg, jpeg" in message and "1 .cr2, 1 without an ending" in message


JUNK = ["@eaDir", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found",
        ".git", ".thumbnails", ".@__thumb", "#recycle"]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
def test_folders_of_systems_are_no_classes_and_not_searched(tmp_path, junk):
    write_images(tmp_path, ["a/1.png", "b/2.png", f"{junk}/3.png", f"a/{junk}/4.png", "a/._1.png"])
    source = open_source(f"folder:{tmp_path}")
    assert source.names == ["a/1.png", "b/2.png"] and source.class_names == ["a", "b"]


@pytest.mark.parametrize("mark", [".nomedia", "flags.cfg", "moves-1.csv"])
def test_what_the_programs_write_is_no_photo_and_no_class(tmp_path, mark):
    write_images(tmp_path, ["a/1.png", "b/2.png", "runs/a-quick/augmented.png", "near.png"])
    (tmp_path / "runs" / "a-quick" / mark).touch()
    assert find_images(tmp_path, [tmp_path / "near.png"]).names == ["a/1.png", "b/2.png"]
    assert folders_of_classes(tmp_path) == {"a", "b"}
    named = find_images(tmp_path / "runs" / "a-quick").names
    assert named == ["augmented.png"]  # what is asked for is searched


def test_runs_in_the_folder_are_left_out_with_one_message(tmp_path, told):
    write_images(tmp_path, ["a/1.png", "b/2.png", "runs/and/augmented.png"])
    (tmp_path / "runs" / "and" / "flags.cfg").touch()
    for _ in range(2):
        assert open_source(f"folder:{tmp_path}").class_names == ["a", "b"]
    (record,) = [r for r in told.records if "left out" in r.message]
    assert "left out 1 sub-folder(s) marked as no photos" in record.message
    assert record.message.endswith(": runs/and")


def test_folders_of_systems_are_no_empty_classes(tmp_path):
    write_images(tmp_path, ["a/1.png", "été/1.png"])
    for name in (*JUNK, "empty"):
        (tmp_path / name).mkdir()
    assert folders_of_classes(tmp_path) == {"a", "été", "empty"}


def test_a_folder_that_may_not_be_searched_is_named(tmp_path, told, monkeypatch):
    write_images(tmp_path, ["a/1.png", "b/1.png"])
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    message = error_of(open_source, f"folder:{tmp_path}")
    assert f"1 sub-folder(s) cannot be searched, the first: {tmp_path / 'b'} (Permission" in message
    assert "change their permissions, or pass skip_broken=True" in message
    assert open_source(f"folder:{tmp_path}", skip_broken=True).names == ["a/1.png"]
    assert "left out 1 sub-folder(s) that cannot be searched" in told.text
    assert folders_of_classes(tmp_path) == {"a"}
    (record,) = [r for r in told.records if "cannot be searched" in r.message]
    assert record.levelno == logging.WARNING
    message = error_of(open_source, f"folder:{tmp_path / 'b'}", skip_broken=True)
    assert f"{tmp_path / 'b'} (Permission denied) cannot be searched" in message


def test_a_stray_image_drops_the_labels_and_is_named(tmp_path, told):
    write_images(tmp_path, ["a/1.png", "a/2.png", "b/1.png", "stray.png"])
    assert open_source(f"folder:{tmp_path}").labels is None
    (record,) = told.records
    assert record.levelno == logging.WARNING
    assert "no labels, because 1 of 4 images (stray.png)" in record.message
    assert "(a, b)" in record.message and "move" in record.message
    told.clear()
    open_source(f"folder:{tmp_path}", labels="none")
    assert not told.records


def test_loose_photos_beside_a_few_folders_are_no_warning(tmp_path, told):
    write_images(tmp_path, ["1.png", "2.png", "3.png", "old/1.png"])
    open_source(f"folder:{tmp_path}")
    assert [record.levelno for record in told.records] == [logging.INFO]


@pytest.mark.parametrize("levels", ["photos", "photos/all"])
def test_an_extra_level_of_folders_is_named_with_the_one_below(tmp_path, told, levels):
    write_images(tmp_path, [f"{levels}/ant/1.png", f"{levels}/bee/1.png"])
    source = open_source(f"folder:{tmp_path}")
    assert source.class_names == ["photos"]
    (record,) = told.records
    assert "a single class" in record.message and record.levelno == logging.WARNING
    assert f"If ant, bee are the classes or splits, name {tmp_path / levels}" in record.message
    assert open_source(f"folder:{tmp_path / levels}").class_names == ["ant", "bee"]


def test_one_class_without_folders_below_is_said_too(tmp_path, told):
    write_images(tmp_path, ["ant/1.png", "ant/2.png"])
    open_source(f"folder:{tmp_path}")
    (record,) = told.records
    assert "a single class" in record.message and "instead" not in record.message


def test_accents_composed_and_decomposed_are_one_class(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "été") for form in ("NFC", "NFD"))
    write_images(tmp_path, [f"train/{composed}/1.png", f"train/{decomposed}/2.png"])
    write_images(tmp_path, ["train/zoo/3.png", f"test/{decomposed}/4.png"])
    train = open_source(f"folder:{tmp_path}")
    assert train.class_names == [composed, "zoo"]
    assert sorted(train.labels.tolist()) == [0, 0, 1]
    assert open_source(f"folder:{tmp_path}", "test").labels.tolist() == [0]
    shutil.rmtree(tmp_path / "train" / composed)
    again = open_source(f"folder:{tmp_path}")
    assert again.class_names == [composed, "zoo"] and again.labels.tolist() == [0, 1]


def test_the_order_of_classes_is_that_of_their_folders(tmp_path):
    decomposed = unicodedata.normalize("NFD", "é")
    write_images(tmp_path, [f"{decomposed}/1.png", "f/1.png"])
    source = open_source(f"folder:{tmp_path}")  # as before accents were composed
    assert source.class_names == ["é", "f"]
    np.testing.assert_array_equal(source.labels, [0, 1])


def test_each_folder_and_image_is_taken_once_by_its_own_place(tmp_path, told):
    write_images(tmp_path, ["2024/1.png", "2024/2.png", "zoo/3.png"])
    (tmp_path / "a-latest").symlink_to(tmp_path / "2024")
    (tmp_path / "latest").symlink_to(tmp_path / "a-latest")
    (tmp_path / "best.png").symlink_to(tmp_path / "2024" / "2.png")
    assert open_source(f"folder:{tmp_path}").names == ["2024/1.png", "2024/2.png", "zoo/3.png"]
    assert folders_of_classes(tmp_path) == {"2024", "zoo"}  # a needless link is no empty class
    assert "left out 3 link(s) to what is found anyway" in told.text


def test_what_only_links_lead_to_is_taken_once_by_the_first_of_them(tmp_path):
    write_images(tmp_path / "elsewhere", ["deep/1.png", "2.png"])
    write_images(tmp_path, ["alone.png"])
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "elsewhere" / "2.png")  # found below c, too
    (folder / "b.png").symlink_to(tmp_path / "alone.png")
    (folder / "b2.png").symlink_to(tmp_path / "alone.png")
    (folder / "c").symlink_to(tmp_path / "elsewhere")
    (folder / "d").symlink_to(tmp_path / "elsewhere")
    (folder / "e").symlink_to(tmp_path / "elsewhere" / "deep")
    found = find_images(folder)
    assert found.names == ["b.png", "c/2.png", "c/deep/1.png"] and found.links == 4
    assert folders_of_classes(folder) == {"c"}


def test_folders_that_link_to_each_other_give_each_image_once(tmp_path):
    for number in range(7):
        write_images(tmp_path, [f"{number}/{number}.png"])
        for other in range(7):
            if other != number:
                (tmp_path / f"{number}" / f"to{other}").symlink_to(tmp_path / f"{other}")
    assert find_images(tmp_path).names == [f"{n}/{n}.png" for n in range(7)]


@pytest.fixture
def twice(tmp_path, monkeypatch):
    """A folder in which two of three files have two names each, without checks that are known."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(check_cache, "SETTLED_SECONDS", -1.0)
    folder = tmp_path / "photos"
    write_images(folder, ["a/1.png", "b/2.png", "b/3.png"])
    os.link(folder / "a" / "1.png", folder / "b" / "1.png")
    os.link(folder / "b" / "2.png", folder / "a" / "2.png")
    return folder


def test_a_file_with_several_names_is_taken_once_by_the_first(twice, told):
    for _ in range(2):  # its checks are known at the second
        source = open_source(f"folder:{twice}")
        assert source.names == ["a/1.png", "a/2.png", "b/3.png"]
        assert source.labels.tolist() == [0, 0, 1] and source.hard_links == 2
    (record,) = [r for r in told.records if "hard link" in r.message]
    assert "left out 2 hard link(s)" in record.message
    assert record.message.endswith("the first: b/1.png, which is a/1.png")
    every = open_source(f"folder:{twice}", hard_links=True)
    assert every.names == ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/3.png"]


def test_a_name_that_only_a_link_leads_to_gives_way_to_one_of_the_folder(tmp_path):
    write_images(tmp_path / "photos", ["b/1.png"])
    (tmp_path / "elsewhere").mkdir()
    os.link(tmp_path / "photos" / "b" / "1.png", tmp_path / "elsewhere" / "1.png")
    (tmp_path / "photos" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "a.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    source = open_source(f"folder:{tmp_path / 'photos'}")
    assert source.names == ["b/1.png"] and source.hard_links == 1


@pytest.mark.parametrize("changed", [{"st_ino": 0}, {"st_nlink": 1}, {"st_ino": 5, "st_dev": -7}])
def test_file_systems_that_do_not_number_their_files_lose_none(twice, monkeypatch, changed):
    """Inode 0 for all, no count of names, or one number for files of other content."""
    stat = os.stat

    def stat_of_another(path, **options):
        state = stat(path, **options)
        names = ("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_nlink", "st_ino", "st_dev")
        of_another = {name: getattr(state, name) for name in names} | changed
        return types.SimpleNamespace(**of_another)

    (twice / "a/2.png").unlink()
    (twice / "b/1.png").unlink()
    for number, name in enumerate(["a/1.png", "b/2.png", "b/3.png"]):
        os.utime(twice / name, (number, number))
        os.link(twice / name, twice.parent / f"{number}.png")
    monkeypatch.setattr(file_checks.os, "stat", stat_of_another)
    assert open_source(f"folder:{twice}").names == ["a/1.png", "b/2.png", "b/3.png"]


def test_a_run_that_began_with_each_name_as_an_image_goes_on_with_them(twice, told):
    every = open_source(f"folder:{twice}", hard_links=True)
    data = DataSettings(f"folder:{twice}", train_split="train[:3]", eval_split="train[3:]")
    begun = {"fingerprint": every.take(slice(3)).fingerprint}
    begun["held_out_fingerprint"] = every.take(slice(3, None)).fingerprint
    train, held_out = open_images_of_run(data, begun)
    assert train.names == every.names[:3] and held_out.names == every.names[3:]
    np.testing.assert_array_equal(train.labels, every.labels[:3])
    data = replace(data, eval_split="train[2:]")
    train, held_out = open_images_of_run(data, {"fingerprint": begun["fingerprint"]})
    assert train.names == every.names[:3]
    assert held_out.names == every.names[2:]  # of the same images, so that none changes sides
    assert "continues with the images that it began with, each hard link as an image" in told.text
    train, _ = open_images_of_run(data, {"fingerprint": "of another folder"})
    assert train.names == ["a/1.png", "a/2.png", "b/3.png"]


def test_links_are_followed_once(tmp_path):
    write_images(tmp_path / "elsewhere", ["1.png"])
    write_images(tmp_path / "photos", ["b/2.png"])
    (tmp_path / "photos/a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/b/up").symlink_to(tmp_path / "photos")
    assert find_images(tmp_path / "photos").names == ["a/1.png", "b/2.png"]


@pytest.mark.parametrize("target", ["nowhere.png", "x.png"])
def test_a_link_that_leads_nowhere_is_a_broken_image_wherever_it_leads(tmp_path, target):
    write_images(tmp_path, ["a.png"])
    (tmp_path / "x.png").symlink_to(target)
    assert "1 broken image(s), the first: " in error_of(open_source, f"folder:{tmp_path}")


@pytest.mark.parametrize("name", ["b", "b.v2"])
@pytest.mark.parametrize("target", ["unmounted/b", "itself", "file/b"])
def test_a_class_that_a_link_does_not_reach_is_not_left_out_in_silence(
    tmp_path, told, name, target
):
    write_images(tmp_path / "photos", ["a/1.png"])
    (tmp_path / "file").write_text("")
    link = tmp_path / "photos" / name
    link.symlink_to(link if target == "itself" else tmp_path / target)
    message = error_of(open_source, f"folder:{tmp_path / 'photos'}")
    assert f"1 sub-folder(s) cannot be searched, the first: {link} (a link to " in message
    assert "fix the links' targets, remove the links, or pass skip_broken=True" in message
    assert open_source(f"folder:{tmp_path / 'photos'}", skip_broken=True).names == ["a/1.png"]
    assert "left out 1 sub-folder(s) that cannot be searched" in told.text
    assert folders_of_classes(tmp_path / "photos") == {"a"}
    link.unlink()
    open_source(f"folder:{tmp_path / 'photos'}")
