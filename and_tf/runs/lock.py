"""One training process per run folder: a lock that is released when its owner ends."""

import contextlib
import functools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from and_tf.errors import Argument, NotFound, UserError


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Callable[[], None]]:
    """Holds the lock of a run's folder, which the system releases however the process ends.

    Args:
        folder: of the run; created if missing.

    Yields:
        A function that raises `NotFound` once the folder has been deleted or replaced: another
        process may then hold the lock of a new one.

    Raises:
        UserError: if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    _check_own(path)
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise UserError(
            Argument("workdir", str(folder)), f" is in use by another process{_holder(path)}: wait "
            "for it to end, stop it, or choose another.",
        ) from error  # fmt: skip
    try:
        with contextlib.suppress(OSError):  # some systems refuse writes to a locked file
            path.write_text(str(os.getpid()))
        yield functools.partial(_check_held, path, path.stat().st_ino)
    finally:
        lock.release()


def _check_own(path: Path) -> None:
    """Refuses a lock file that is a symbolic or hard link: another file would be written to.

    Raises:
        UserError: if it is a link, or not a regular file.
    """
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise UserError(
                f"{path} is a link to another file, or not a regular one: remove it, and repeat "
                "the command."
            )


def _holder(path: Path) -> str:
    try:
        with open(path) as file:
            number = file.read(20).strip()  # a foreign file may have any size
    except (OSError, ValueError):
        return ""
    return f" (pid {number})" if number.isdigit() else ""


def _check_held(path: Path, inode: int) -> None:
    if not path.exists() or path.stat().st_ino != inode:
        raise NotFound(
            f"{path.parent} was deleted or replaced during the run: begin again in a new ",
            Argument("workdir"), ".",
        )  # fmt: skip
