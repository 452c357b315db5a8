"""Reading files by descriptor; reads are retried while a disk does not answer."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from and_tf.data.large_images import fault_of_size
from and_tf.errors import BrokenImage, NotFound, Unreachable

logger = logging.getLogger(__name__)

T = TypeVar("T")

DELAYS_S: tuple[float, ...] = (1, 2, 4, 8, 15, 30)  # before each retry; a minute in all
LOGGED_EVERY_S = 20  # many threads may wait for one disk
# The errors of a network disk, or of one that was unplugged, while it is away.
_AWAY = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN"),
        *("ENETUNREACH", "ENETRESET", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "ENODEV"),
        *("ENXIO", "EREMOTEIO", "ENOLINK", "ECOMM", "EAGAIN", "EBUSY", "ENOMEDIUM"),
    )
    if hasattr(errno, name)
)
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[int]:
    """A descriptor for reading a file; opening a pipe does not wait for its other end."""
    descriptor = os.open(path, _FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_bytes(descriptor: int, size: int, offset: int = 0) -> bytes:
    """Up to `size` bytes from an offset on; fewer only if the file ends earlier."""
    content = _read_at(descriptor, size, offset)
    if len(content) in (0, size):
        return content
    parts = [content]
    while content and (missing := size - sum(map(len, parts))):  # a signal, or a network disk
        content = _read_at(descriptor, missing, offset + size - missing)
        parts.append(content)
    return b"".join(parts)


def _read_at(descriptor: int, size: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)  # Windows
    return os.read(descriptor, size)


def read_file(path: str) -> tuple[bytes, os.stat_result]:
    """The content of an image file and its `stat` when it was read; waits for a disk that is away.

    Raises:
        BrokenImage: if it is larger than any image that is decoded.
        NotFound: if there is no such file in a folder that has others.
        Unreachable: if the disk stayed away for a minute.
        OSError: any other error of the system.
    """

    def read() -> tuple[bytes, os.stat_result]:
        with opened(path) as descriptor:
            state = os.fstat(descriptor)
            if fault := fault_of_size(state.st_size):
                text = f"{os.path.abspath(path)} cannot be read ({fault})."
                raise BrokenImage(text) from ValueError(fault)
            return read_bytes(descriptor, state.st_size), state

    return with_patience(path, read)


def read_part(path: str, offset: int, size: int) -> tuple[bytes, os.stat_result]:
    """A part of a file and the file's `stat`; see `read_file`."""

    def read() -> tuple[bytes, os.stat_result]:
        with opened(path) as descriptor:
            return read_bytes(descriptor, size, offset), os.fstat(descriptor)

    return with_patience(path, read)


def with_patience(path: str, read: Callable[[], T]) -> T:
    """What a function reads from a path, retried for a minute while the disk is away.

    Raises:
        NotFound, Unreachable, OSError: see `read_file`.
    """
    for delay in DELAYS_S:
        try:
            return read()
        except OSError as error:
            if not is_away(path, error):
                raise _not_found(path, error) from error
            _log_wait(path, error)
        time.sleep(delay)
    try:
        return read()
    except OSError as error:
        if not is_away(path, error):
            raise _not_found(path, error) from error
        raise Unreachable(
            f"{path} cannot be read ({error.strerror}), and could not for {sum(DELAYS_S)} seconds: "
            "connect its disk again, and repeat the command."
        ) from error


def is_away(path: str, error: OSError) -> bool:
    """Whether the disk is away, rather than a single file missing."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return not _holds_files(os.path.dirname(os.path.abspath(path)))
    return error.errno in _AWAY


def _holds_files(folder: str) -> bool:
    """Whether a folder exists and is not empty, unlike the mount point of a disk that is away."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _not_found(path: str, error: OSError) -> OSError:
    if isinstance(error, FileNotFoundError):
        return NotFound(f"{path} is gone: put the file back, and repeat the command.")
    return error


_lock = threading.Lock()
_logged_at = -LOGGED_EVERY_S * 1.0


def _log_wait(path: str, error: OSError) -> None:
    global _logged_at
    with _lock:
        if time.monotonic() - _logged_at < LOGGED_EVERY_S:
            return
        _logged_at = time.monotonic()
    logger.warning(
        "%s cannot be read (%s): trying again, for up to %d seconds.",
        path,
        error.strerror,
        sum(DELAYS_S),
    )
