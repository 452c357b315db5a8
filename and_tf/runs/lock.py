"""One training process a workdir: a lock that dies with its owner."""

import contextlib
import fcntl
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Callable[[], None]]:
    """Holds the lock of a workdir, which the system releases however the process ends.

    Args:
        folder: of the run; created where it is missing.

    Yields:
        A function that raises a FileNotFoundError once the folder has been deleted or replaced:
        another process may then hold the lock of a new one.

    Raises:
        ValueError: if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ValueError(
                f"--workdir={folder} is in use by another process (pid {file.read().strip()}): "
                "wait for its end, stop it, or choose another --workdir."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield functools.partial(_check_held, path, os.fstat(file.fileno()).st_ino)


def _check_held(path: Path, inode: int) -> None:
    if not path.exists() or path.stat().st_ino != inode:
        raise FileNotFoundError(
            f"{path.parent} was deleted or replaced under the run: begin again in a new --workdir."
        )
