"""Files and folders that are written whole or not at all."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, content: str | bytes) -> Path:
    """Writes a file beside `path` and renames it: a kill or a full disk leaves the old one.

    Args:
        path: of the file; its folder is made if it is missing, but not what that lies in.
        content: text, written as UTF-8 with "?" for what UTF-8 cannot hold, or bytes.

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
    """Has a file or a folder written beside `path` and renames it, as `replace_file` does.

    Args:
        path: of the file or folder; what it lies in is made as in `replace_file`.
        write: writes a file, or a folder with what is in it, at the path that it is given.
        previous: where the file that stood at `path` is kept; None to replace it.
        is_durable: whether to wait until the disk has each file; False for thousands of files
            that can be made again.

    Returns:
        The path.
    """
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    _remove(partial)  # of a process that was killed
    try:
        write(partial)
        for file in [partial, *partial.rglob("*")] if is_durable else []:
            _sync(file)
        if previous is not None and path.exists():
            _keep(path, previous)
        if partial.is_dir() and path.is_dir():
            _replace_folder(path, partial)
        else:
            os.replace(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        if isinstance(error.errno, int) and error.filename is None:  # as of a write on a full disk
            error.filename = str(path)
        raise
    finally:
        _remove(partial)
    return path


def replace_by_link(path: Path, other: Path) -> bool:
    """Gives a file a second name, in place of what stood there: nothing is written twice.

    Args:
        path: the second name; it keeps the content when `other` is replaced later.
        other: a file on the same disk, that is never changed in place.

    Returns:
        Whether it was done; False on a file system without hard links.
    """
    path.parent.mkdir(exist_ok=True)
    second = path.with_name(path.name + ".partial")
    second.unlink(missing_ok=True)
    try:
        os.link(other, second)
    except OSError:
        return False
    os.replace(second, path)
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder outlast a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int) -> None:
    """Waits until the disk has a file or folder, where its file system offers that.

    Some network and FUSE file systems refuse it, of folders above all; what was written is as safe
    there as they make it.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def _keep(path: Path, previous: Path) -> None:
    """Gives a file a second name, so that at no moment there is none at `path`."""
    if not replace_by_link(previous, path):  # a reader then looks at both names
        os.replace(path, previous)


def _replace_folder(path: Path, newer: Path) -> None:
    """A folder cannot be renamed onto one that holds files: the old one steps aside."""
    older = path.with_name(f".{path.name}.older")
    _remove(older)
    os.replace(path, older)
    try:
        os.replace(newer, path)
    except BaseException:
        os.replace(older, path)
        raise
    _remove(older)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
