"""A file or folder is the old one or the new one, whatever happens while it is written."""

import errno
import os

import pytest

from and_tf.runs import atomic_files
from and_tf.runs.atomic_files import replace_by, replace_file


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
        if str(source).endswith(".partial"):
            raise OSError("Input/output error")
        plain(source, target)

    replace_by(tmp_path / "thing", writer("old"))
    monkeypatch.setattr(atomic_files.os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        replace_by(tmp_path / "thing", writer("new"))
    assert content(tmp_path / "thing") == "old" and os.listdir(tmp_path) == ["thing"]


@WRITERS
def test_what_a_killed_process_left_is_no_obstacle(tmp_path, writer):
    writer("killed")(tmp_path / "thing.partial")
    replace_by(tmp_path / "thing", writer("new"))
    assert content(tmp_path / "thing") == "new" and os.listdir(tmp_path) == ["thing"]


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
