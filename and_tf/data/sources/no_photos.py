"""Folders and files that hold no photos of a person: those of systems, and of these programs."""

from __future__ import annotations

import os
from pathlib import Path

# Of systems and storage, in small letters; names with a dot before them are hidden anyway.
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
NO_MEDIA = ".nomedia"  # says that what lies beside it is no collection of photos
# A sub-folder with one of these is no collection of photos either: a run, and the photos that were
# moved away as near-duplicates.
MARKS = frozenset((NO_MEDIA, "flags.cfg", "moves-1.csv"))
MARKED_BY = f"a file {NO_MEDIA}, flags.cfg (runs) or moves-1.csv"


def is_ignored(folder: str) -> bool:
    """Whether a folder of that name is hidden, or of a system rather than of a person."""
    return folder.startswith(".") or folder.lower() in SYSTEM_FOLDERS


def holds_output(folder: str | Path) -> bool:
    """Whether a folder, or one directly below it, holds one of `MARKS`, as that of runs does."""
    below = [entry.path for entry in os.scandir(folder) if is_folder(entry)]
    return any(os.path.exists(os.path.join(p, m)) for p in (folder, *below) for m in MARKS)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; not where nobody can tell."""
    try:
        return entry.is_dir()
    except OSError:  # of a file that is gone or cannot be looked at; reading it says so
        return False
