"""A lock that allows one writer at a time in a folder and leaves no file behind."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Waits until no other process holds the lock of a folder, then holds it.

    The system releases it however the process ends. If the file system does not support locks on
    folders, like some network ones, it does not wait.

    Args:
        folder: must exist.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if try_lock(descriptor) is False:
            logger.info("Another process is writing to %s: waiting for it to end.", folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool | None:
    """Locks an open folder; False if another process has, None if locks are not supported."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.debug("a folder cannot be locked: %s", error)
        return None
    return True
