"""The image files below a folder, and what beside them is left out."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from and_tf.data.formats import EXTENSIONS, install_line, is_photo
from and_tf.data.log_once import log_once
from and_tf.errors import Argument, BrokenImage

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
MARKED_BY = f"a file {NO_MEDIA}, flags.cfg (runs) or moves-1.csv"
LISTED_KINDS = 8


@dataclass(frozen=True)
class ImageFiles:
    """What was found below a folder.

    Attributes:
        names: paths of the images relative to the folder, with "/", sorted.
        left_out: numbers of the other files by their ending in small letters, empty without one.
        marked: sub-folders that hold one of `MARKS`.
        closed: sub-folders that cannot be searched, "" for the folder itself, and why; links that
            lead nowhere, such as to a disk that is not there, count as such unless called an image.
        links: how many links lead to what is found without them.
        linked: those of the names that only links lead to.
    """

    names: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    marked: list[str] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    links: int = 0
    linked: frozenset[str] = frozenset()


def find_images(folder: Path, excluded: Collection[Path] = ()) -> ImageFiles:
    """Searches a folder and what is below it; links are followed to what is not found without them.

    Each folder is searched once, and each linked image taken once: by its place without links
    where that is in the folder, else by the first link to it.

    Sub-folders that hold one of `MARKS` are left out: what these programs write is no photo.
    Android's galleries leave out those with a file `.nomedia`, too: thumbnails.

    Args:
        folder: searched, whatever marks it holds itself.
        excluded: files that are left out, such as a picture that the program will write there.
    """
    return _Search(folder, {os.path.realpath(path) for path in excluded}).run()


class _Search:
    """One search, and which folders it has been to.

    Args:
        root: the folder.
        excluded: real paths of files to leave out.
    """

    def __init__(self, root: Path, excluded: set[str]):
        self.root, self.excluded = root, excluded
        self.found = ImageFiles()
        self.searched: set[str] = set()  # real paths of folders
        self.links: list[str] = []  # met and not followed yet

    def run(self) -> ImageFiles:
        """All that is found, without links first."""
        self._search("", os.path.realpath(self.root))
        own = len(self.found.names)
        to_files, needless = [], 0
        while self.links:
            links, self.links = sorted(self.links), []
            for name in links:
                path = self.root / name
                if reason := _why_closed(path):
                    self.found.closed.append((name, reason))
                elif not os.path.isdir(path):
                    to_files.append(name)
                elif os.path.realpath(path) in self.searched or _is_loop(path):
                    needless += 1
                else:
                    self._search(name, os.path.realpath(path))
        needless += self._add_linked_files(to_files)
        linked = frozenset(self.found.names[own:])
        self.found.names.sort()
        return dataclasses.replace(self.found, links=needless, linked=linked)

    def _search(self, name: str, real: str) -> None:
        """Searches a folder, of which the real path is given, and those below it."""
        waiting = [(name, real)]
        while waiting:
            name, real = waiting.pop()
            if real in self.searched:  # below a link
                continue
            try:
                with os.scandir(self.root / name) as found:
                    entries = list(found)
            except OSError as error:
                self.found.closed.append((name, error.strerror or str(error)))
                continue
            if name and not MARKS.isdisjoint(entry.name for entry in entries):
                self.found.marked.append(name)
                continue
            self.searched.add(real)
            prefix = f"{name}/" if name else ""
            links = [entry.name for entry in entries if entry.is_symlink()]
            self.links += [prefix + n for n in links if not is_ignored(n)]
            folders = [e.name for e in entries if not e.is_symlink() and is_folder(e)]
            waiting += [(prefix + n, os.path.join(real, n)) for n in folders if not is_ignored(n)]
            others = {*links, *folders}
            files = [entry.name for entry in entries if entry.name not in others]
            if self.excluded:
                files = [n for n in files if os.path.join(real, n) not in self.excluded]
            self._add(prefix, files)

    def _add_linked_files(self, links: list[str]) -> int:
        """Adds the files that links lead to; gives how many were found already."""
        needless, known = 0, set()
        for link in sorted(links):
            target = os.path.realpath(self.root / link)
            folder, name = os.path.split(target)
            is_there = os.path.lexists(target) and not os.path.islink(target)  # it leads somewhere
            is_found = is_there and folder in self.searched and _ending(name) in EXTENSIONS
            if target in known or (is_found and not name.startswith(".")):
                needless += 1
            elif target not in self.excluded:
                known.add(target)
                parent, slash, name = link.rpartition("/")
                self._add(parent + slash, [name])
        return needless

    def _add(self, prefix: str, files: list[str]) -> None:
        """Adds the files of one folder, whose path relative to the root comes before each."""
        endings = frozenset(EXTENSIONS)
        for name in files:
            lower = name.lower()
            if lower.startswith(".") or lower in SYSTEM_FILES:
                continue
            ending = _ending(lower)
            if ending in endings:
                self.found.names.append(prefix + name)
            else:
                self.found.left_out[ending] += 1


def _why_closed(link: Path) -> str:
    """Why nobody can tell whether a link leads to a folder; empty if it can be told.

    One that is called an image is taken for one, a broken one; so are the files of systems.
    """
    if _ending(link.name) in EXTENSIONS or link.name.lower() in SYSTEM_FILES:
        return ""
    try:
        os.stat(link)
    except OSError as error:
        return f"a link to {os.readlink(link)}, {error.strerror or error}"
    return ""


def _ending(name: str) -> str:
    """In small letters, without the dot; empty where there is none."""
    return name.lower().rpartition(".")[2] if "." in name else ""


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; not where nobody can tell."""
    try:
        return entry.is_dir()
    except OSError:  # of a file that is gone or cannot be looked at; reading it says so
        return False


def refuse_closed(folder: Path, found: ImageFiles, skip_broken: bool) -> None:
    """Refuses a folder of which a part cannot be searched, or logs what is left out.

    Raises:
        BrokenImage: if a sub-folder cannot be searched and is not to be skipped, or the folder.
    """
    if not found.closed:
        return
    name, reason = min(found.closed)
    first = f"{folder / name} ({reason})"
    if not name:
        raise BrokenImage(f"{first} cannot be searched: change its permissions.")
    count = f"{len(found.closed):,} sub-folder(s)"
    if not skip_broken:
        raise BrokenImage(
            f"{count} cannot be searched, the first: {first}: ",
            _remedy(folder, found),
            ", or pass ",
            Argument("skip_broken", True),
        )
    text = f"{folder.absolute()}: left out {count} that cannot be searched, the first: {first}"
    log_once(logger, logging.WARNING, text)


def _remedy(folder: Path, found: ImageFiles) -> str:
    are_links = {(folder / name).is_symlink() for name, _ in found.closed}
    remedies = {False: "change their permissions", True: "mend what is linked to, remove the links"}
    return ", ".join(remedies[kind] for kind in sorted(are_links))


def report_folders(folder: Path, found: ImageFiles) -> None:
    """Logs which sub-folders and links were left out, and why."""
    if found.marked:
        shown = ", ".join(sorted(found.marked)[:3]) + (", ..." if len(found.marked) > 3 else "")
        text = f"left out {len(found.marked):,} sub-folder(s) of no photos, by {MARKED_BY}: {shown}"
        log_once(logger, logging.INFO, f"{folder.absolute()}: {text}")
    if found.links:
        text = f"left out {found.links:,} link(s) to what is found without them"
        log_once(logger, logging.INFO, f"{folder.absolute()}: {text}")


def first_names(found: ImageFiles, files: np.ndarray) -> np.ndarray:
    """(n,) int, rising: one name of each real file, of hard links the first.

    A name that only links lead to gives way to those that are found without them.

    Args:
        found: N images.
        files: (N,) int, equal where two of the names are of one file.
    """
    is_linked = np.fromiter(map(found.linked.__contains__, found.names), bool, len(found.names))
    order = np.lexsort((is_linked, files))  # stable: among equals the first name
    is_first = np.diff(files[order], prepend=-1) != 0
    return np.sort(order[is_first])


def report_hard_links(
    folder: Path, names: Sequence[str], kept: np.ndarray, files: np.ndarray
) -> None:
    """Logs how many names of files that have another one were left out, and the first of them.

    Args:
        folder: that was searched.
        names: of N images.
        kept: (n,) int, rows from `first_names`.
        files: (N,) int, as there.
    """
    left_out = np.ones(len(names), bool)
    left_out[kept] = False
    row = int(left_out.argmax())
    other = names[kept[files[kept] == files[row]][0]]
    text = f"left out {left_out.sum():,} hard link(s), each a further name of an image here; "
    text += f"the first: {names[row]}, which is {other}"
    log_once(logger, logging.INFO, f"{folder.absolute()}: {text}")


def is_ignored(folder: str) -> bool:
    """Whether a folder of that name is hidden, or of a system rather than of a person."""
    return folder.startswith(".") or folder.lower() in SYSTEM_FOLDERS


def holds_output(folder: str | Path) -> bool:
    """Whether a folder, or one directly below it, holds one of `MARKS`, as that of runs does."""
    below = [entry.path for entry in os.scandir(folder) if is_folder(entry)]
    return any(os.path.exists(os.path.join(p, m)) for p in (folder, *below) for m in MARKS)


def _is_loop(link: Path) -> bool:
    """Whether a link leads to a folder that it lies in, by whatever links."""
    path = link.absolute()
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
