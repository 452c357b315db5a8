"""Copies the images of each cluster into a folder; nothing is overwritten."""

from __future__ import annotations

import csv
import errno
import io
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.collection.clusters.contact_sheets import folder_name
from and_tf.data.progress import progress_bar
from and_tf.errors import Argument, UserError
from and_tf.runs.atomic_files import is_leftover, replace_file, scratch_folder
from and_tf.runs.csv_cells import read_rows, row_writer
from and_tf.runs.places import check_local, check_place

LIST = "clusters.csv"  # marks a folder as one of copies, and lists them
ARGUMENT = "copy_clusters_to"

logger = logging.getLogger(__name__)


class Copy(NamedTuple):
    """One image to copy: from a path, to a path relative to the folder of all copies."""

    source: Path
    target: str


def check_copies_place(folder: Path, images: Path, as_links: bool = False) -> None:
    """Refuses an unsuitable folder for copies before the images are read.

    Args:
        folder: for the copies.
        images: the folder of all images.
        as_links: hard links instead of copies.

    Raises:
        UserError: if it is not empty and not one of copies, lies among the images, cannot be
            written to, is an address, or, for links, is on another disk.
    """
    check_local(ARGUMENT, folder)
    if os.path.realpath(folder).startswith(os.path.join(os.path.realpath(images), "")):
        raise UserError(
            Argument(ARGUMENT, folder),
            f" is in {images}, so the copies would join the images: name a folder elsewhere.",
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(Argument(ARGUMENT, folder), " is a file: name a folder.")
    check_place(ARGUMENT, folder / LIST)
    if folder.is_dir() and _contents(folder) and not (folder / LIST).is_file():
        raise UserError(
            Argument(ARGUMENT, folder),
            " holds files that are not copies of clusters: name an empty or new folder.",
        )
    if as_links and images.is_dir() and _above(folder).stat().st_dev != images.stat().st_dev:
        raise UserError(
            Argument(ARGUMENT, folder), f" is not on the disk of {images}, and hard links need "
            "the same disk: leave out ", Argument("link_clusters", True), " to copy.",
        )  # fmt: skip


def check_copies(
    folder: Path, paths: Sequence[str], as_links: bool = False, numbers: Sequence[int] = ()
) -> None:
    """Refuses an unsuitable folder for copies before hours of work.

    Args:
        folder: for the copies.
        paths: N, of the images.
        as_links: hard links instead of copies.
        numbers: how many clusters there may be; empty if that is not known yet.

    Raises:
        UserError: if it holds copies of other images or of another number of clusters, or a file
            that is in the way, or if its disk has no room.
    """
    copied = _check_list(folder, paths, numbers)
    if as_links:
        return
    missing = [path for path in paths if _written(path) not in copied]
    needed = sum(os.stat(path).st_size for path in missing)
    free = shutil.disk_usage(_above(folder)).free
    if needed > free:
        raise UserError(
            Argument(ARGUMENT, folder),
            f": {needed / 1e9:,.1f} GB of images do not fit on its disk, which has "
            f"{free / 1e9:,.1f} GB left: make room, or use ", Argument("link_clusters", True), ".",
        )  # fmt: skip


def _contents(folder: Path) -> list[str]:
    """Names in a folder, without leftovers of a process that was killed."""
    return sorted(entry.name for entry in folder.iterdir() if not is_leftover(entry))


def _above(folder: Path) -> Path:
    """The folder, or the first above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _check_list(folder: Path, paths: Sequence[str], numbers: Sequence[int]) -> set[str]:
    """The images that are copied already; refuses a list that must be of other clusters."""
    if not (folder / LIST).is_file():
        return set()
    rows = _read_list(folder)
    known = {_written(path): path for path in paths}
    count = len({copy.partition("/")[0] for copy, _ in rows})
    is_other = sorted(image for _, image in rows) != sorted(_written(path) for path in paths)
    if not is_other and numbers:  # only equal images can leave clusters empty, without copies
        sizes = len({os.stat(path).st_size for path in paths})
        is_other = not any(count == n or (count < n and sizes < n) for n in numbers)
    if is_other:
        raise _of_other_clusters(folder)
    if len(known) < len(paths):  # names that UTF-8 cannot hold may be written alike
        return set()
    return {image for copy, image in rows if _is_copied(Path(known[image]), folder / copy)}


def _read_list(folder: Path) -> list[list[str]]:
    """Pairs of a copy and its image."""
    try:
        with open(folder / LIST, newline="", encoding="utf-8") as file:
            return [row for row in read_rows(file) if len(row) == 2][1:]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _of_other_clusters(folder) from error


def _written(path: str) -> str:
    """A path as it is written in the list."""
    return str(Path(path)).encode("utf-8", "replace").decode()


def _is_copied(source: Path, target: Path) -> bool:
    """Whether an image is copied already; refuses if another file is in its place."""
    if not target.exists():
        return False
    if target.stat().st_size == source.stat().st_size:
        return True
    raise UserError(
        f"{target} exists and is not a copy of {source}: it is not overwritten. Move it."
    )


def _of_other_clusters(folder: Path) -> UserError:
    return UserError(
        Argument(ARGUMENT, folder),
        " holds copies of other clusters: name another folder, or remove it.",
    )


def copy_clusters(
    folder: Path, paths: Sequence[str], numbers: np.ndarray, as_links: bool = False
) -> int:
    """Copies images into sub-folders cluster_000 and so on.

    An image keeps its name; if a cluster has several of one name, the later ones get a number.
    `clusters.csv` lists the copies. An interrupted copy is continued.

    Args:
        folder: created if it is missing.
        paths: N, of the images.
        numbers: (N,) int, cluster of each.
        as_links: hard links, which take no space, instead of copies.

    Returns:
        How many images this call copied.

    Raises:
        UserError: if the folder holds copies of other clusters or a file in the way, or cannot
            hold links.
    """
    copies = planned_copies(paths, numbers)
    folder.mkdir(parents=True, exist_ok=True)
    _write_list(folder, copies)
    copied = 0
    scratch = scratch_folder(folder / LIST)
    with scratch as beside, progress_bar(len(copies), "copying clusters") as bar:
        for copy in copies:
            copied += _copy(copy.source, folder / copy.target, as_links, beside)
            bar.update()
    if copied < len(copies):
        logger.info("%s images had already been copied.", f"{len(copies) - copied:,}")
    return copied


def planned_copies(paths: Sequence[str], numbers: np.ndarray) -> list[Copy]:
    """All copies to make; no two get the same path, even on a case-insensitive file system."""
    taken: set[str] = set()
    copies = []
    for path, number in zip(map(Path, paths), numbers.tolist(), strict=True):
        place, count = f"{folder_name(number)}/{path.name}", 1
        while place.casefold() in taken:
            count += 1
            place = f"{folder_name(number)}/{path.stem}_{count}{path.suffix}"
        taken.add(place.casefold())
        copies.append(Copy(path, place))
    return copies


def _write_list(folder: Path, copies: Sequence[Copy]) -> None:
    """Writes the list of copies before the first is made; refuses a folder with another list."""
    rows = [[_written(copy.target), _written(str(copy.source))] for copy in copies]
    path = folder / LIST
    if path.is_file() and _read_list(folder) != rows:
        raise _of_other_clusters(folder)
    if not path.is_file():
        if others := _contents(folder):
            raise UserError(
                Argument(ARGUMENT, folder),
                f" holds {others[0]}: name an empty or new folder.",
            )
        text = io.StringIO()
        write_row = row_writer(text, "\n")
        for row in (["copy", "image"], *rows):
            write_row(row)
        replace_file(path, text.getvalue().encode())


def _copy(source: Path, target: Path, as_links: bool, scratch: Path) -> bool:
    """Copies one image, whole or not at all, via a scratch folder; False if it was there before."""
    if _is_copied(source, target):
        return False
    target.parent.mkdir(exist_ok=True)
    if as_links:
        _link(source.resolve(), target)
        return True
    partial = scratch / "copy"
    try:
        shutil.copy2(source, partial)
        os.rename(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        raise UserError(
            Argument(ARGUMENT, target.parent.parent),
            f" cannot hold a hard link to {source} ({error.strerror}): leave out ",
            Argument("link_clusters", True), " to copy.",
        ) from error  # fmt: skip
