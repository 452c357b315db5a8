"""Checks the output paths that a user names before any work is done."""

import os
import re
from pathlib import Path

from and_tf.errors import Argument, UserError


def check_place(name: str, path: Path) -> Path:
    """Refuses a file that could not be written; its folder need not exist, see `make_folder_of`.

    Args:
        name: of the argument that contains it.
        path: of the file.

    Returns:
        The path.

    Raises:
        UserError: if it is a directory, is below a file, or cannot be written to.
    """
    check_local(name, path)
    if path.is_dir():
        raise UserError(Argument(name), f": {path} is a directory: give another name or remove it.")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise UserError(Argument(name), f": {path} is below the file {above}: choose another.")
    if not os.access(above, os.W_OK):
        raise UserError(Argument(name), f": {above} cannot be written to: choose another place.")
    return path


def check_local(name: str, path: str | os.PathLike) -> None:
    """Refuses an address such as gs://bucket, which as a path would be a local folder `gs:`.

    Args:
        name: of the argument that contains it.
        path: to be written to or read.

    Raises:
        UserError: if it is an address.
    """
    first = Path(path).parts[:1]
    if (
        first
        and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+:", first[0])
        and not Path(first[0]).exists()
    ):
        raise UserError(
            Argument(name, str(path)), " is an address, not a path on this machine: name a local "
            "folder, or mount the address and name it by its path.",
        )  # fmt: skip


def expanded(path: str | os.PathLike) -> Path:
    """A path with `~` replaced by the home folder; unchanged if there is none.

    `Path.expanduser` would raise an error then, for instance in a container whose user has neither
    HOME nor an entry in /etc/passwd.
    """
    return Path(os.path.expanduser(path))


def make_folder_of(path: Path) -> Path:
    """Returns the path after creating its folder if that is missing."""
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    return path
