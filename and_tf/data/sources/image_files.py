"""The image files below a folder, and what beside them is left out."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from and_tf.data.formats import EXTENSIONS, install_line, is_photo
from and_tf.data.log_once import log_once

logger = logging.getLogger(__name__)

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
LISTED_KINDS = 8


@dataclass(frozen=True)
class ImageFiles:
    """What was found below a folder.

    Attributes:
        names: paths of the images relative to the folder, with "/", sorted.
        left_out: numbers of the other files by their ending in small letters, empty without one.
    """

    names: list[str]
    left_out: Counter[str] = field(default_factory=Counter)


def find_images(folder: Path, excluded: Collection[Path] = ()) -> ImageFiles:
    """Searches a folder and what is below it, following links but no circle of them.

    Sub-folders that hold one of `MARKS` are left out: what these programs write is no photo.
    Android's galleries leave out those with a file `.nomedia`, too: thumbnails.

    Args:
        folder: searched, whatever marks it holds itself.
        excluded: files that are left out, such as a picture that the program will write there.
    """
    outputs = {os.path.realpath(path) for path in excluded}
    found = ImageFiles([])
    for parent, folders, files in os.walk(folder, onerror=_report_closed, followlinks=True):
        if not MARKS.isdisjoint(files) and Path(parent) != folder:
            folders.clear()
            continue
        folders[:] = [n for n in folders if not is_ignored(n) and not _is_loop(parent, n)]
        if outputs:
            files = [n for n in files if os.path.realpath(os.path.join(parent, n)) not in outputs]
        _add_files(found, Path(parent).relative_to(folder), files)
    found.names.sort()
    return found


def _add_files(found: ImageFiles, parent: Path, files: list[str]) -> None:
    """Adds the files of one folder, whose path is relative to the one that is searched."""
    prefix = "" if parent == Path() else f"{parent.as_posix()}/"
    endings = frozenset(EXTENSIONS)
    for name in files:
        lower = name.lower()
        if lower.startswith(".") or lower in SYSTEM_FILES:
            continue
        ending = lower.rpartition(".")[2] if "." in lower else ""
        if ending in endings:
            found.names.append(prefix + name)
        else:
            found.left_out[ending] += 1


def _report_closed(error: OSError) -> None:
    """Says so of a folder that may not be searched; the others are."""
    name = os.path.abspath(error.filename)
    log_once(logger, logging.WARNING, f"{name} is not searched ({error.strerror}).")


def is_ignored(folder: str) -> bool:
    """Whether a folder of that name is hidden, or of a system rather than of a person."""
    return folder.startswith(".") or folder.lower() in SYSTEM_FOLDERS


def holds_output(folder: str | Path) -> bool:
    """Whether a folder, or one directly below it, holds one of `MARKS`, as that of runs does."""
    below = [entry.path for entry in os.scandir(folder) if entry.is_dir()]
    return any(os.path.exists(os.path.join(p, m)) for p in (folder, *below) for m in MARKS)


def _is_loop(parent: str, name: str) -> bool:
    """Whether a sub-folder is a link to a folder that the walk is in, by whatever links it came."""
    path = Path(parent, name).absolute()
    if not path.is_symlink():
        return False
    target = os.path.realpath(path)
    return any(Path(os.path.realpath(above)).is_relative_to(target) for above in path.parents)


def report_left_out(folder: Path, left_out: Counter[str]) -> None:
    """Logs how many files of which kinds were left out; photos among them are worth a warning."""
    if left_out:
        level = logging.WARNING if any(map(is_photo, left_out)) else logging.INFO
        log_once(logger, level, f"{folder.absolute()}: {described(left_out)}")


def described(left_out: Counter[str]) -> str:
    """Such as "left out 3 files that are not images this program reads: 2 .txt, 1 .mov"."""
    total = left_out.total()
    ranked = sorted(left_out, key=lambda ending: (not is_photo(ending), -left_out[ending], ending))
    kinds = [_described_kind(ending, left_out[ending]) for ending in ranked[:LISTED_KINDS]]
    if others := sum(left_out[ending] for ending in ranked[LISTED_KINDS:]):
        kinds.append(f"{others:,} of other kinds")
    what = "file that is no image" if total == 1 else "files that are not images"
    return f"left out {total:,} {what} this program reads: {', '.join(kinds)}."


def _described_kind(ending: str, count: int) -> str:
    kind = f".{ending}" if ending else "without an ending"
    line = install_line(ending)
    return f"{count:,} {kind} ({line})" if line else f"{count:,} {kind}"
