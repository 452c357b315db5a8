"""Superfluous images are moved with a log, and come back; none is deleted or overwritten."""

import csv
import os
import re
import shutil
from pathlib import Path

import pytest

from and_tf.cli import embed as program
from and_tf.collection.duplicates import moving
from and_tf.collection.duplicates.groups import Group
from and_tf.collection.duplicates.moving import (
    check_target,
    move_duplicates,
    move_files,
    plan_moves,
    undo_moves,
)
from and_tf.collection.settings import embed_settings
from and_tf.errors import BrokenFile, NotFound, UserError
from and_tf.settings import SettingError

NAMES = ["a.jpg", "b.jpg", "c/a.jpg", "c/d.jpg"]
GROUPS = [Group((0, 1, 2), 1, "identical", 1.0)]


@pytest.fixture
def images(tmp_path):
    for name in NAMES:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_text(name)
    return tmp_path / "photos"


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def move(images, target, groups=GROUPS):
    return move_files(plan_moves(images, NAMES, groups, target), target)


def test_all_but_the_one_to_keep_move_and_come_back(images, tmp_path):
    before = contents(images)
    target = tmp_path / "moved"
    log = move(images, target)
    assert set(contents(images)) == {"b.jpg", "c/d.jpg"}
    moved = contents(target)
    assert (moved.pop(log.name), moved)[1] == {"a.jpg": "a.jpg", "c/a.jpg": "c/a.jpg"}
    assert undo_moves(log) == (2, 0) and contents(images) == before
    assert undo_moves(log) == (0, 0) and contents(images) == before  # may be repeated


def test_names_that_a_spreadsheet_takes_for_formulas_come_back(tmp_path):
    names = ["=1+1.jpg", "'=1+1.jpg", "a;=1+1.jpg", "-1;-2.jpg", "kept.jpg"]
    photos = tmp_path / "=photos;@x"
    photos.mkdir()
    for name in names:
        (photos / name).write_text(name)
    before = contents(photos)
    groups = [Group(tuple(range(5)), 4, "identical", 1.0)]
    log = move_files(plan_moves(photos, names, groups, tmp_path / "moved"), tmp_path / "moved")
    cells = re.split("[;,\n]", log.read_text())
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert undo_moves(log) == (4, 0) and contents(photos) == before


def test_a_file_at_the_target_is_never_overwritten(images, tmp_path):
    target = tmp_path / "moved"
    target.mkdir()
    (target / "a.jpg").write_text("older")
    (target / "moves-1.csv").write_text("older")
    log = move(images, target)
    found = contents(target)
    assert log.name == "moves-2.csv" and found["moves-1.csv"] == "older"
    assert found["a.jpg"] == "older" and found["a (2).jpg"] == "a.jpg"


def test_a_file_in_the_way_of_undoing_stays(images, tmp_path):
    log = move(images, tmp_path / "moved")
    (images / "a.jpg").write_text("newer")
    assert undo_moves(log) == (1, 1)
    assert contents(images)["a.jpg"] == "newer" and contents(tmp_path / "moved")["a.jpg"] == "a.jpg"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_in_the_middle_of_a_move_loses_nothing(images, tmp_path, monkeypatch, moment):
    before, real = contents(images), moving._move
    calls = []

    def killed(one):
        calls.append(one)
        if len(calls) == 2:
            if moment == "after":
                one.target.parent.mkdir()
                os.link(one.source, one.target)  # and not yet unlinked
            raise KeyboardInterrupt
        real(one)

    monkeypatch.setattr(moving, "_move", killed)
    with pytest.raises(KeyboardInterrupt):
        move(images, tmp_path / "moved")
    monkeypatch.setattr(moving, "_move", real)
    assert undo_moves(tmp_path / "moved" / "moves-1.csv") == (1, 1 if moment == "after" else 0)
    assert contents(images) == before


def test_the_log_names_a_move_before_it_is_made(images, tmp_path, monkeypatch):
    logged = []

    def look(one):
        with open(tmp_path / "moved" / "moves-1.csv", newline="") as file:
            logged.append(list(csv.reader(file))[-1] == [str(one.source), str(one.target)])

    monkeypatch.setattr(moving, "_move", look)
    move(images, tmp_path / "moved")
    assert logged == [True, True]


def test_a_copy_to_another_file_system_is_whole_and_dated(images, tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(18, "Invalid cross-device link")

    os.utime(images / "a.jpg", (1, 1))
    monkeypatch.setattr(os, "link", refuse)
    log = move(images, tmp_path / "moved")
    assert (tmp_path / "moved" / "a.jpg").stat().st_mtime == 1
    assert not (images / "a.jpg").exists()
    assert undo_moves(log) == (2, 0)


def test_a_copy_that_fails_leaves_the_original_alone(images, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfileobj", refuse)
    with pytest.raises(UserError, match="No space left on device"):
        move(images, tmp_path / "moved")
    assert set(contents(images)) == set(NAMES) and "a.jpg" not in contents(tmp_path / "moved")


def test_links_stay(images, tmp_path):
    (images / "a.jpg").unlink()
    (images / "a.jpg").symlink_to(images / "b.jpg")
    moves = plan_moves(images, NAMES, GROUPS, tmp_path / "moved")
    assert [one.source for one in moves] == [images / "c/a.jpg"]


def test_a_dry_run_touches_nothing(images, tmp_path, capsys):
    before = contents(tmp_path)
    move_duplicates(images, NAMES, GROUPS, tmp_path / "moved", dry_run=True)
    assert contents(tmp_path) == before and not (tmp_path / "moved").exists()
    assert "2 images would be moved" in capsys.readouterr().out


def test_a_dry_run_of_undoing_touches_nothing(images, tmp_path, capsys):
    log = move(images, tmp_path / "moved")
    before = contents(tmp_path)
    program._prepare({"undo_moves": str(log), "dry_run": True})()
    assert contents(tmp_path) == before
    printed = capsys.readouterr().out
    assert "2 images would be moved back; nothing was moved." in printed
    assert f"would move {tmp_path / 'moved' / 'a.jpg'} back to {images / 'a.jpg'}" in printed
    program._prepare({"undo_moves": str(log)})()
    assert set(contents(images)) == set(NAMES)


def test_a_dry_run_of_nothing_is_refused_with_the_remedy():
    with pytest.raises(SettingError, match="none are requested: add move_duplicates_to='FOLDER'"):
        embed_settings({"images": "photos", "dry_run": True})


def test_what_the_encoder_alone_calls_near_duplicates_is_never_moved():
    with pytest.raises(SettingError, match=r"duplicate_similarity=0\.9 does not look at them"):
        embed_settings({"move_duplicates_to": "moved", "duplicate_similarity": 0.9})


@pytest.mark.parametrize("target", ["photos", "photos/moved", "."])
def test_a_target_that_the_next_search_would_find_is_refused(images, tmp_path, target):
    with pytest.raises(UserError, match="must not contain one another"):
        check_target(images, tmp_path / target)
    check_target(images, tmp_path / "moved")


def test_what_is_no_log_is_named(images, tmp_path):
    with pytest.raises(NotFound, match="undo_moves"):
        undo_moves(tmp_path / "none.csv")
    with pytest.raises(BrokenFile, match="is not a log of moves"):
        undo_moves(images / "a.jpg")


FORGED = {
    "of a file elsewhere": ("{photos}/a.jpg", "{here}/else/a.jpg", "is not in the log's folder"),
    "by dots": ("{photos}/a.jpg", "{moved}/../else/a.jpg", "is not in the log's folder"),
    "through a link": ("{photos}/link/a.jpg", "{moved}/link/a.jpg", "is not in the log's folder"),
    "to another name": ("{photos}/b.jpg", "{moved}/new.jpg", "does not match the path"),
    "to another folder": ("{photos}/d/new.jpg", "{moved}/c/new.jpg", "does not match the path"),
    "of two folders": ("{here}/others/new.jpg", "{moved}/new.jpg", "same folder of photos"),
    "of no image": ("{photos}/keys", "{moved}/keys", "is not an image"),
    "into its own folder": ("{moved}/x/new.jpg", "{moved}/new.jpg", "is from the log's folder"),
    "relative": ("a.jpg", "{moved}/a.jpg", "not absolute"),
    "of endless names": ("{photos}/" + "a" * 200_000 + ".jpg", "{moved}/a.jpg", "line|field"),
    "of long names": ("{photos}/" + "a" * 40_000 + ".jpg", "{moved}/a.jpg", "two paths"),
    "of names with zeros": ("{photos}/a\0.jpg", "{moved}/a\0.jpg", "two paths"),
    "of three columns": ("{photos}/a.jpg,x", "{moved}/a.jpg", "two paths"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_log_moves_nothing_but_images_of_its_folder_to_where_they_were(images, tmp_path, kind):
    log = move(images, tmp_path / "moved")
    source, target, words = FORGED[kind]
    for name in ("else/a.jpg", "moved/new.jpg", "moved/c/new.jpg", "moved/keys"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "moved" / "link").symlink_to(tmp_path / "else")
    before = contents(tmp_path)
    places = {"photos": images, "here": tmp_path, "moved": tmp_path / "moved"}
    row = f"{source},{target}\r\n".format(**places)
    log.write_text(log.read_text() + row)
    with pytest.raises(BrokenFile, match=words) as caught:
        undo_moves(log)
    assert "put it back into its folder" in str(caught.value) and "\n" not in str(caught.value)
    assert contents(tmp_path) | {f"moved/{log.name}": ""} == before | {f"moved/{log.name}": ""}


def test_a_log_works_by_other_names_of_its_folder_and_in_it_alone(images, tmp_path, monkeypatch):
    before = contents(images)
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    moves = plan_moves(images, NAMES, GROUPS, Path("../moved"))
    log = move_files(moves, Path("../moved"))
    (tmp_path / "link").symlink_to(tmp_path / "moved")
    shutil.copy(log, tmp_path / "x" / "copy.csv")
    with pytest.raises(BrokenFile, match="is not in the log's folder"):
        undo_moves(tmp_path / "x" / "copy.csv")
    assert undo_moves(tmp_path / "link" / log.name) == (2, 0) and contents(images) == before


@pytest.mark.parametrize("cut", [1, 2, 5, 30])
def test_a_line_that_a_kill_has_cut_is_of_a_move_that_was_not_begun(images, tmp_path, cut):
    log = move(images, tmp_path / "moved")
    whole = log.read_bytes()
    line = f"{images / 'b.jpg'},{tmp_path / 'moved' / 'b.jpg'}\r\n".encode()
    log.write_bytes(whole + line[:-cut])
    assert undo_moves(log) == (2, 0)
