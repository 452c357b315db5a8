"""A file or folder is the old one or the new one, whatever happens while it is written."""

import errno
import os
import shutil
import subprocess
import sys
import time

import pytest

from and_tf.runs import atomic_files
from and_tf.runs.atomic_files import replace_by, replace_by_link, replace_file, scratch_folder


def file_writer(text):
    return lambda path: path.write_text(text)


def folder_writer(text):
    def write(path):
        (path / "inner").mkdir(parents=True)
        (path / "inner" / "file").write_text(text)

    return write


def content(path):
    return (path / "inner" / "file" if path.is_dir() else path).read_text()


WRITERS = pytest.mark.parametrize("writer", [file_writer, folder_writer])


@WRITERS
def test_what_is_written_replaces_what_stood_there(tmp_path, writer):
    for text in ("old", "new"):
        assert replace_by(tmp_path / "thing", writer(text)) == tmp_path / "thing"
        assert content(tmp_path / "thing") == text
        assert os.listdir(tmp_path) == ["thing"]


@WRITERS
def test_a_writer_that_fails_leaves_the_old_one_and_no_litter(tmp_path, writer):
    def fail(path):
        writer("half")(path)
        raise OSError("No space left on device")

    replace_by(tmp_path / "thing", writer("old"))
    with pytest.raises(OSError, match="No space left"):
        replace_by(tmp_path / "thing", fail)
    assert content(tmp_path / "thing") == "old" and os.listdir(tmp_path) == ["thing"]


@WRITERS
def test_a_rename_that_fails_leaves_the_old_one(tmp_path, writer, monkeypatch):
    plain = os.replace

    def fail(source, target):
        if source.parent.suffix == ".partial" and source.name == "thing":
            raise OSError("Input/output error")
        plain(source, target)

    replace_by(tmp_path / "thing", writer("old"))
    monkeypatch.setattr(atomic_files, "_exchange", lambda *paths: False)
    monkeypatch.setattr(atomic_files.os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        replace_by(tmp_path / "thing", writer("new"))
    assert content(tmp_path / "thing") == "old" and os.listdir(tmp_path) == ["thing"]


@WRITERS
def test_what_a_killed_process_left_is_no_obstacle(tmp_path, writer):
    def killed(path):
        writer("half")(path)
        left.append(shutil.copytree(path.parent, tmp_path / ".thing.k1_ll3dx.partial"))

    left = []
    replace_by(tmp_path / "thing", killed)
    assert left[0].is_dir()
    replace_by(tmp_path / "thing", writer("new"))
    assert content(tmp_path / "thing") == "new" and os.listdir(tmp_path) == ["thing"]


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_two_folders_change_places_in_one_step(tmp_path, monkeypatch):
    def fail(*paths):
        raise AssertionError("a moment without a folder")

    replace_by(tmp_path / "thing", folder_writer("old"))
    monkeypatch.setattr(atomic_files.os, "replace", fail)
    replace_by(tmp_path / "thing", folder_writer("new"))
    assert content(tmp_path / "thing") == "new" and os.listdir(tmp_path) == ["thing"]


@pytest.mark.parametrize("name", ["thing", "older", "old"])
def test_a_folder_that_a_kill_has_left_without_a_name_is_put_back(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "file").write_text("old")
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from and_tf.runs import atomic_files\n"
        "atomic_files._exchange = lambda *paths: False\n"
        "rename, path = os.replace, Path(sys.argv[1])\n"
        "def killed(source, target):\n"
        "    rename(source, target)\n"
        "    os._exit(9)\n"
        "atomic_files.os.replace = killed\n"
        "def write(partial):\n"
        "    partial.mkdir()\n"
        "    (partial / 'file').write_text('new')\n"
        "atomic_files.replace_by(path, write)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / name)])
    assert ended.returncode == 9 and not (tmp_path / name).exists()
    with pytest.raises(OSError, match="full"), scratch_folder(tmp_path / name):
        raise OSError("the disk is full")  # the next writer gets nothing done
    assert (tmp_path / name / "file").read_text() == "old" and os.listdir(tmp_path) == [name]


@WRITERS
def test_what_another_process_is_writing_and_files_of_others_stay(tmp_path, writer):
    others = [".other.abcdefgh.partial", ".thing.2.abcdefgh.partial", "thing.partial", ".thing"]
    for name in others:
        (tmp_path / name).mkdir()
    with scratch_folder(tmp_path / "thing") as folder:
        replace_by(tmp_path / "thing", writer("new"))
        assert sorted(os.listdir(tmp_path)) == sorted([*others, "thing", folder.name])
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "thing"])


@WRITERS
@pytest.mark.parametrize(
    "name", ["thing", "thing.partial", ".thing.older", ".thing.abcdefgh.partial"]
)
def test_no_link_is_followed(tmp_path, writer, name):
    folder, outside = tmp_path / "run", tmp_path / "outside"
    writer("precious")(outside)
    folder.mkdir()
    (folder / name).symlink_to(outside)
    for text in ("old", "new"):
        replace_by(folder / "thing", writer(text))
    assert content(folder / "thing") == "new" and not (folder / "thing").is_symlink()
    assert content(outside) == "precious"


def test_where_no_locks_are_known_only_old_leftovers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_files, "try_lock", lambda descriptor: None)
    for name, age in (("alive_01", 60), ("old_0001", 2 * atomic_files.OLD)):
        folder = tmp_path / f".thing.{name}.partial"
        folder.mkdir()
        os.utime(folder, (time.time() - age,) * 2)
    replace_file(tmp_path / "thing", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"thing", ".thing.alive_01.partial"}


def test_a_link_to_a_round_replaces_a_link_from_elsewhere(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "round").write_text("round")
    for name in ("best", "best.partial"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    assert replace_by_link(tmp_path / "best", tmp_path / "round")
    assert (tmp_path / "best").read_text() == "round"
    assert (tmp_path / "precious").read_text() == "precious"


def test_names_as_long_as_a_file_system_takes_are_written(tmp_path):
    path = replace_file(tmp_path / ("\N{BLACK STAR}" * 85), "text")
    assert path.read_text() == "text"


def test_text_that_utf8_cannot_hold_is_written_with_question_marks(tmp_path):
    path = replace_file(tmp_path / "new" / "file", "caf\udce9")
    assert path.read_bytes() == b"caf?"


def test_a_folder_that_was_deleted_is_not_made_anew(tmp_path):
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "deleted" / "checkpoints" / "last.npz", b"")


@WRITERS
def test_a_file_system_that_cannot_sync_is_written_to_all_the_same(tmp_path, writer, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(atomic_files.os, "fsync", refuse)
    replace_by(tmp_path / "thing", writer("new"))
    assert content(tmp_path / "thing") == "new" and os.listdir(tmp_path) == ["thing"]


def test_a_disk_that_is_full_is_named_with_the_path(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.ENOSPC, "No space left on device")  # as of a write

    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'thing'}'"):
        replace_by(tmp_path / "thing", fail)


def test_a_disk_that_fails_while_syncing_is_named(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic_files.os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        replace_file(tmp_path / "thing", b"")
    assert not os.listdir(tmp_path)
