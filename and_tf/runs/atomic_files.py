"""Atomic writes: a file or folder is written completely or not at all."""

import contextlib
import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from and_tf.runs.folder_lock import try_lock

OLD = 24 * 3600  # seconds; used where locks are not supported, as on some network disks
LONGEST_NAME = 200  # bytes of a path's name that the name of its scratch folder contains

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def replace_file(path: Path, content: str | bytes) -> Path:
    """Writes a file next to `path` and renames it: a kill or a full disk leaves the old one.

    Args:
        path: of the file; its folder is created if missing, but not that folder's parents.
        content: text, written as UTF-8 with "?" for what UTF-8 cannot represent, or bytes.

    Returns:
        The path.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return replace_by(path, lambda partial: partial.write_bytes(data))


def replace_by(
    path: Path,
    write: Callable[[Path], object],
    previous: Path | None = None,
    is_durable: bool = True,
) -> Path:
    """Calls `write` for a path next to `path` and renames the result, as `replace_file` does.

    The old file or folder stays until the new one takes its place. On a system that cannot exchange
    two folders, a kill between two renames leaves neither; the next call for this path then puts
    the old one back.

    Args:
        path: of the file or folder; its parent is created as in `replace_file`.
        write: writes a file, or a folder with its contents, at the path that it is given.
        previous: where to keep the old file of `path`; None to discard it.
        is_durable: whether to wait until each file is on the disk; False for thousands of files
            that can be recreated.

    Returns:
        The path.
    """
    path.parent.mkdir(exist_ok=True)
    try:
        with scratch_folder(path) as folder:
            partial = folder / path.name
            write(partial)
            for file in [partial, *partial.rglob("*")] if is_durable else []:
                _sync(file)
            if previous is not None and path.exists():
                _keep(path, previous)
            if partial.is_dir() and path.is_symlink():
                path.unlink()  # a file would replace the link, a folder cannot
            if partial.is_dir() and path.is_dir():
                _replace_folder(path, partial, _aside(folder, path))
            else:
                os.replace(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        if isinstance(error.errno, int) and _names_no_other(error):
            error.filename = str(path)
        raise
    return path


def replace_by_link(path: Path, other: Path) -> bool:
    """Replaces a file by a hard link to another, so that nothing is written twice.

    Args:
        path: the second name; it keeps the content if `other` is replaced later.
        other: a file on the same disk that is never changed in place.

    Returns:
        Whether it was done; False on a file system without hard links.
    """
    path.parent.mkdir(exist_ok=True)
    with scratch_folder(path) as folder:
        second = folder / path.name
        try:
            os.link(other, second)
        except OSError:
            return False
        os.replace(second, path)
    sync_folder(path.parent)
    return True


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Creates a new, empty folder next to a path, in which to prepare what will replace it.

    Its name is random and did not exist before, so nothing is written through links in a folder
    from an untrusted source. Scratch folders of the same path whose processes were killed are
    removed, and nothing else; what they had moved away from the path is put back first. A running
    process locks its folder.

    Args:
        path: of what is prepared; its parent must exist.

    Yields:
        A folder on the same disk as `path`, removed at the end with its contents.
    """
    _remove_leftovers(path)
    folder, lock = _locked_scratch(path)
    try:
        yield folder
    finally:
        _clear(folder, path)
        os.close(lock)


def _names_no_other(error: OSError) -> bool:
    """Whether an error names no file, as when a disk is full, or one in a scratch folder."""
    if not isinstance(error.filename, str | bytes) or not error.filename:  # none, or a descriptor
        return True
    named = Path(os.fsdecode(error.filename))
    return any(is_leftover(each) for each in (named, named.parent))


def is_leftover(path: Path) -> bool:
    """Whether a path is named like a scratch folder, which a killed process leaves behind."""
    return re.fullmatch(r"\..+\.[a-z0-9_]{8}\.partial", path.name, re.DOTALL) is not None


def _locked_scratch(path: Path) -> tuple[Path, int]:
    """A new scratch folder and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path), suffix=".partial"))
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # removed as a leftover before it was locked
            continue
        if try_lock(lock) is not False and folder.is_dir():
            return folder, lock
        os.close(lock)


def _prefix(path: Path) -> str:
    """The prefix of the names of a path's scratch folders."""
    return f".{os.fsencode(path.name)[:LONGEST_NAME].decode(errors='ignore')}."


def _remove_leftovers(path: Path) -> None:
    """Removes scratch folders of a path that no process holds; what they moved away is put back."""
    ours = re.compile(rf"{re.escape(_prefix(path))}[a-z0-9_]{{8}}\.partial")
    for entry in os.scandir(path.parent):
        if not ours.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        with contextlib.suppress(OSError):
            lock = os.open(entry.path, os.O_RDONLY)
            try:
                is_free = try_lock(lock)
                if is_free or (is_free is None and _is_old(lock)):
                    _clear(Path(entry.path), path)
            finally:
                os.close(lock)


def _is_old(descriptor: int) -> bool:
    """Whether a folder has not changed for so long that no process can be using it."""
    return time.time() - os.fstat(descriptor).st_mtime > OLD


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder survive a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int) -> None:
    """Waits until a file or folder is on the disk, if its file system supports that.

    Some network and FUSE file systems do not, especially for folders; data is then as safe as the
    file system makes it.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def _keep(path: Path, previous: Path) -> None:
    """Gives a file a second name, so that there is a file at `path` at every moment."""
    if not replace_by_link(previous, path):  # readers then try both names
        os.replace(path, previous)


def _replace_folder(path: Path, newer: Path, older: Path) -> None:
    """Replaces a folder that contains files, by an exchange or by two renames.

    A folder cannot be renamed onto one that is not empty.
    """
    if _exchange(path, newer):
        return
    os.replace(path, older)  # `_clear` puts it back if the next rename fails
    os.replace(newer, path)


def _aside(folder: Path, path: Path) -> Path:
    """Where a scratch folder keeps what was moved away; its replacement has the path's name."""
    return folder / ("older" if path.name != "older" else "old")


def _clear(folder: Path, path: Path) -> None:
    """Removes a scratch folder; what was moved there is put back if nothing took its place."""
    older = _aside(folder, path)
    with contextlib.suppress(OSError):  # then it stays for the next start
        if older.is_dir() and not older.is_symlink() and not os.path.lexists(path):
            os.rename(older, path)
        shutil.rmtree(folder, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two folders atomically, as Linux can on most file systems; returns success."""
    rename = getattr(_LIBC, "renameat2", None)
    if rename is None:
        return False
    paths = [os.fsencode(path.absolute()) for path in (first, second)]
    return rename(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) == 0
