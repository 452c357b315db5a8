"""The image files below a folder, found directly or through links."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from and_tf.data.formats import EXTENSIONS
from and_tf.data.sources.no_photos import MARKS, SYSTEM_FILES, is_folder, is_ignored


@dataclass(frozen=True)
class ImageFiles:
    """What was found below a folder.

    Attributes:
        names: paths of the images relative to the folder, with "/", sorted.
        left_out: number of other files by lower-case ending, which is empty if a file has none.
        marked: sub-folders that hold one of `MARKS`.
        closed: sub-folders that cannot be searched, "" for the folder itself, and why. Links that
            lead nowhere, such as to a disk that is away, count too, unless named like an image.
        links: number of links to what is found without them.
        linked: the names that only links lead to.
    """

    names: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    marked: list[str] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    links: int = 0
    linked: frozenset[str] = frozenset()


def find_images(folder: Path, excluded: Collection[Path] = ()) -> ImageFiles:
    """Searches a folder and everything below it; follows links to what is not found without them.

    Each folder is searched once, and each linked image is taken once: by its path without links if
    that is within the folder, else by the first link to it.

    Sub-folders that hold one of `MARKS` are left out: what these programs write there is not
    photos. A file `.nomedia` marks thumbnails, which Android's galleries leave out, too.

    Args:
        folder: always searched, even if it holds such a mark itself.
        excluded: files to leave out, such as a picture that the program will write there.
    """
    return _Search(folder, {os.path.realpath(path) for path in excluded}).run()


class _Search:
    """One search, and the folders that it has visited.

    Args:
        root: the folder.
        excluded: real paths of files to leave out.
    """

    def __init__(self, root: Path, excluded: set[str]):
        self.root, self.excluded = root, excluded
        self.found = ImageFiles()
        self.searched: set[str] = set()  # real paths of folders
        self.links: list[str] = []  # found but not followed yet

    def run(self) -> ImageFiles:
        """Searches without links first, then follows links."""
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
        """Searches a folder with this real path, and those below it."""
        waiting = [(name, real)]
        while waiting:
            name, real = waiting.pop()
            if real in self.searched:  # possible below a link
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
        """Adds the files that links lead to; returns how many had already been found."""
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
        """Adds the files of one folder, with its path relative to the root as prefix."""
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
    """Why it cannot be determined whether a link leads to a folder; empty if it can.

    A link named like an image counts as an image, perhaps a broken one; a link named like a system
    file counts as that.
    """
    if _ending(link.name) in EXTENSIONS or link.name.lower() in SYSTEM_FILES:
        return ""
    try:
        os.stat(link)
    except OSError as error:
        return f"a link to {os.readlink(link)}, {error.strerror or error}"
    return ""


def _is_loop(link: Path) -> bool:
    """Whether a link leads to a folder that contains it, perhaps through other links."""
    path = link.absolute()
    target = os.path.realpath(path)
    return any(Path(os.path.realpath(above)).is_relative_to(target) for above in path.parents)


def _ending(name: str) -> str:
    """The ending of a name in lower case, without the dot; empty if there is none."""
    return name.lower().rpartition(".")[2] if "." in name else ""
