"""Folders and files that are not a person's photos: those of systems, and of these programs."""

from __future__ import annotations

import os
from pathlib import Path

# Of systems and storage, in lower case; names that begin with a dot are hidden anyway.
SYSTEM_FOLDERS = frozenset(
    (
        "$recycle.bin",
        "recycler",
        "system volume information",
        "lost+found",
        "found.000",
        "__macosx",
        "@eadir",
        "@recycle",
        "#recycle",
        "@recently-snapshot",
        "#snapshot",
    )
)
SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
NO_MEDIA = ".nomedia"  # marks its folder as one that is not a collection of photos
# Files that mark sub-folders to leave out: also runs, and photos moved away as near-duplicates.
MARKS = frozenset((NO_MEDIA, "flags.cfg", "moves-1.csv"))
MARKED_BY = f"a file {NO_MEDIA}, flags.cfg (runs) or moves-1.csv"


def is_ignored(folder: str) -> bool:
    """Whether a folder of this name is hidden, or one of a system."""
    return folder.startswith(".") or folder.lower() in SYSTEM_FOLDERS


def holds_output(folder: str | Path) -> bool:
    """Whether a folder or a direct sub-folder holds one of `MARKS`, as a folder of runs does."""
    below = [entry.path for entry in os.scandir(folder) if is_folder(entry)]
    return any(os.path.exists(os.path.join(p, m)) for p in (folder, *below) for m in MARKS)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; False if that cannot be determined."""
    try:
        return entry.is_dir()
    except OSError:  # it is gone or cannot be looked at; reading it reports that
        return False
