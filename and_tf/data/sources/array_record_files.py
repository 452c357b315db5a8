"""ArrayRecord files, whose records are read one by one, by their numbers."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from and_tf.errors import BrokenFile, MissingPackage

T = TypeVar("T")

# Each record is a group of its own, so that no other is read with it. Records are not compressed:
# JPEG and PNG would not become smaller, and reading would take longer.
WRITER_OPTIONS = "group_size:1,uncompressed"
READER_OPTIONS = "readahead_buffer_size:0"  # records are read in any order


def array_record_module() -> Any:
    """The package, imported when it is needed.

    Raises:
        MissingPackage: if it is not installed.
    """
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise MissingPackage(
            f"{error}: ArrayRecord files, such as records:PATH, need `pip install array_record` "
            "(Linux, or macOS on Apple silicon)."
        ) from error
    return array_record_module


def is_array_record(path: str) -> bool:
    """Whether a file of a data set is in ArrayRecord format, judged by its name."""
    return ".array_record" in os.path.basename(path)


def write_records(path: str | os.PathLike, records: Iterable[bytes]) -> None:
    """Writes a file of records.

    Raises:
        OSError: if the disk is full, or the file cannot be written for another reason.
    """
    writer = array_record_module().ArrayRecordWriter(os.fspath(path), WRITER_OPTIONS)
    for record in records:
        with _system_errors(path):
            writer.write(record)
    with _system_errors(path):
        writer.close()


def read_records(path: str, numbers: list[int]) -> list[bytes]:
    """Reads some records of a file.

    Raises:
        BrokenFile: if the file is corrupt.
        OSError: if it does not exist, or may not be read.
    """
    return _read(path, lambda reader: reader.read(numbers))


def count_records(path: str) -> int:
    """Number of records in a file; raises the same errors as `read_records`."""
    return _read(path, lambda reader: reader.num_records())


def close_readers() -> None:
    """Closes all files that were read, so that files written in their place are read afterwards."""
    _reader.cache_clear()


def _read(path: str, read: Callable[[Any], T]) -> T:
    try:
        with _system_errors(path):
            return read(_reader(path))
    except (RuntimeError, IndexError) as error:
        with open(path, "rb"):  # raises an OSError, unless it is the content that is wrong
            pass
        reason = str(error).partition("\n")[0][:200]
        raise BrokenFile(
            f"{path} is corrupt ({reason}): remove the file, and write or copy it again."
        ) from error
    except OSError:
        close_readers()  # a file on a disk that was away has to be opened again
        raise


@functools.lru_cache(maxsize=128)  # descriptors; a set may have a thousand files
def _reader(path: str) -> Any:
    reader = array_record_module().ArrayRecordReader(path, READER_OPTIONS)
    if not reader.ok():
        reader.read([])  # raises the error
    return reader


@contextlib.contextmanager
def _system_errors(path: str | os.PathLike) -> Iterator[None]:
    """Raises errors of the system as `OSError`; array_record reports them only as text."""
    try:
        yield
    except RuntimeError as error:
        for number in errno.errorcode:
            if f"() failed: {os.strerror(number)};" in str(error):
                raise OSError(number, os.strerror(number), os.fspath(path)) from error
        raise
