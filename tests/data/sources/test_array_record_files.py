"""Errors of ArrayRecord files are those of the system, or name the file."""

import errno
import os

import numpy as np
import pytest
from helpers.pictures import error_of

from and_tf.data.sources import array_record_files
from and_tf.data.sources.array_record_files import count_records, read_records, write_records
from and_tf.data.sources.items import ArrayRecords
from and_tf.errors import BrokenFile


@pytest.fixture
def file(tmp_path):
    write_records(tmp_path / "a.array_record", [b"one", b"two", b"three"])
    return str(tmp_path / "a.array_record")


def test_records_are_read_by_their_numbers(file):
    assert count_records(file) == 3
    assert read_records(file, [2, 0]) == [b"three", b"one"]


def test_a_file_that_is_not_there_is_read_once_it_is(file):
    os.rename(file, file + "-away")
    with pytest.raises(FileNotFoundError):
        read_records(file, [0])
    os.rename(file + "-away", file)
    assert read_records(file, [0]) == [b"one"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is full")
def test_a_full_disk_is_an_error_of_the_system():
    with pytest.raises(OSError, match="/dev/full") as caught:
        write_records("/dev/full", [b"x" * 1000])
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_goes_away_is_waited_for_and_its_files_are_opened_again(file, monkeypatch):
    class Away:
        def read(self, numbers):
            raise RuntimeError(f"pread() failed: {os.strerror(errno.EIO)}; reading {file}")

    readers = [Away()]
    plain = array_record_files._reader
    monkeypatch.setattr(
        array_record_files, "_reader", lambda path: readers[0] if readers else plain(path)
    )
    monkeypatch.setattr(array_record_files, "close_readers", readers.clear)
    with pytest.raises(OSError) as caught:
        read_records(file, [1])
    assert caught.value.errno == errno.EIO
    assert read_records(file, [1]) == [b"two"]


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 100_000])
def test_what_is_no_such_file_is_named(file, content):
    with open(file, "wb") as broken:
        broken.write(content)
    for call in (lambda: count_records(file), lambda: read_records(file, [0])):
        with pytest.raises(BrokenFile, match=f"{file} is corrupt"):
            call()


def test_a_record_that_is_no_image_names_its_file(file):
    columns = np.zeros(1, np.int32), np.array([1]), np.array([3]), np.zeros(1, np.uint32)
    message = error_of(ArrayRecords([file], *columns).__getitem__, 0)
    assert file in message and "without an image" in message
