"""One writer at a time in a folder, without a file that stays in it."""

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
    """Waits until no other process holds the lock of a folder, and holds it.

    The system releases it however the process ends. Where a file system knows no locks of folders,
    as some network ones, nothing is waited for.

    Args:
        folder: an existing one.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if try_lock(descriptor) is False:
            logger.info("Another process writes to %s: waiting for its end.", folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool | None:
    """Locks an open folder, unless another process has; None where no locks are known."""
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
