"""Small files that are whole or not there at all."""

import os
from pathlib import Path


def replace_file(path: Path, content: str | bytes) -> Path:
    """Writes a file beside `path` and renames it: a kill or a full disk leaves the old one.

    Args:
        path: of the file; its folder is made if it is missing, but not what that lies in.
        content: text, written as UTF-8 with "?" for what UTF-8 cannot hold, or bytes.

    Returns:
        The path.
    """
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    temporary = path.with_name(path.name + ".partial")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def sync_folder(folder: Path) -> None:
    """Makes a rename in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
