"""Places that the user names for what is written, checked before the work."""

import os
from pathlib import Path

from and_tf.errors import Argument, UserError


def check_place(name: str, path: Path) -> Path:
    """Refuses a file that could not be written; its folder need not exist, see `make_folder_of`.

    Args:
        name: of the argument that names it.
        path: of the file.

    Returns:
        The path.

    Raises:
        UserError: if it is a directory, lies below a file, or where nothing may be written.
    """
    if path.is_dir():
        raise UserError(Argument(name), f": {path} is a directory: give another name or remove it.")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise UserError(Argument(name), f": {path} lies below the file {above}: choose another.")
    if not os.access(above, os.W_OK):
        raise UserError(Argument(name), f": {above} cannot be written to: choose another place.")
    return path


def make_folder_of(path: Path) -> Path:
    """The path, whose folder is made if it is missing."""
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    return path
