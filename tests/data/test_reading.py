"""A disk that is away is waited for; a file that is gone is not."""

import errno
import logging
import os

import pytest

from and_tf.data import file_checks, reading
from and_tf.data.file_checks import check_files
from and_tf.data.reading import read_bytes, read_file, read_part
from and_tf.errors import NotFound, Unreachable


@pytest.fixture
def waited(monkeypatch):
    """The delays, none of which is slept."""
    delays = []
    monkeypatch.setattr(reading.time, "sleep", delays.append)
    monkeypatch.setattr(reading, "_logged_at", -1e9)
    return delays


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(range(200)))
    return str(path)


def fail(monkeypatch, number, times):
    """Lets opening a file fail so many times."""
    plain, left = os.open, [times]

    def failing(path, *arguments):
        if str(path).endswith(".jpg") and left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number), path)
        return plain(path, *arguments)

    monkeypatch.setattr(os, "open", failing)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT])
def test_a_disk_that_comes_back_is_no_error(file, waited, monkeypatch, caplog, number):
    fail(monkeypatch, number, times=3)
    assert read_file(file)[0] == bytes(range(200))
    assert waited == [1, 2, 4]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and file in record.message
    assert os.strerror(number) in record.message


def test_a_disk_that_stays_away_is_waited_for_a_minute(file, waited, monkeypatch):
    fail(monkeypatch, errno.ESTALE, times=10**9)
    with pytest.raises(Unreachable, match=f"{file} cannot be read .*connect its disk"):
        read_part(file, 10, 5)
    assert sum(waited) == 60


def test_a_file_that_is_gone_is_not_waited_for(file, waited):
    with pytest.raises(NotFound, match=r"other\.jpg is gone"):
        read_file(file.replace("photo", "other"))
    assert waited == []


@pytest.mark.parametrize("mount", ["missing", "empty"])
def test_a_folder_that_is_gone_is_a_disk_that_is_away(tmp_path, waited, mount):
    if mount == "empty":
        (tmp_path / mount).mkdir()
    with pytest.raises(Unreachable):
        read_file(str(tmp_path / mount / "photo.jpg"))
    assert sum(waited) == 60


def test_other_errors_stay_what_they_are(file, waited, monkeypatch):
    fail(monkeypatch, errno.EACCES, times=10**9)
    with pytest.raises(PermissionError):
        read_file(file)
    assert waited == []


def test_the_checks_of_the_start_wait_too_and_call_no_image_broken(file, waited, monkeypatch):
    folder, name = os.path.split(file)
    fail(monkeypatch, errno.EIO, times=1)
    assert check_files(folder, [name]).reasons == ["not an image of a known format"]
    fail(monkeypatch, errno.EIO, times=10**9)
    with pytest.raises(Unreachable):
        check_files(folder, [name])
    plain, answers = os.stat, iter([True])
    monkeypatch.setattr(
        file_checks.os, "stat", lambda path: refuse(path) if next(answers, False) else plain(path)
    )
    assert file_checks.file_states(folder, [name]).sizes.tolist() == [200]


def refuse(path):
    raise OSError(errno.ESTALE, "Stale file handle", path)


def test_what_comes_in_pieces_is_put_together(file, monkeypatch):
    plain = os.pread
    monkeypatch.setattr(
        reading.os, "pread", lambda number, size, offset: plain(number, min(size, 7), offset)
    )
    with reading.opened(file) as descriptor:
        assert read_bytes(descriptor, 50, 10) == bytes(range(10, 60))
        assert read_bytes(descriptor, 500, 190) == bytes(range(190, 200))
        assert read_bytes(descriptor, 5, 300) == b""
