"""The images of each cluster copied into a folder of its own; nothing is overwritten."""

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
from and_tf.runs.atomic_files import replace_file

LIST = "clusters.csv"  # marks a folder as one of copies, and says which
ARGUMENT = "copy_clusters_to"

logger = logging.getLogger(__name__)


class Copy(NamedTuple):
    """One image to copy: from a path, to a path relative to the folder of all copies."""

    source: Path
    target: str


def check_copies_folder(
    folder: Path,
    images: Path,
    paths: Sequence[str],
    as_links: bool = False,
    number: int | None = None,
) -> None:
    """Refuses a place for copies before hours of work.

    Args:
        folder: for the copies.
        images: the folder of all images.
        paths: N, of the images.
        as_links: hard links instead of copies.
        number: how many clusters there will be; None if that is not known yet.

    Raises:
        UserError: if it is not empty and not one of copies, holds copies of other images or of
            another number of clusters, lies among the images, or if its disk has no room.
    """
    if os.path.realpath(folder).startswith(os.path.join(os.path.realpath(images), "")):
        raise UserError(
            Argument(ARGUMENT, folder),
            f" lies in {images}, whose images the copies would join: name a folder elsewhere.",
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(Argument(ARGUMENT, folder), " is a file: name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / LIST).is_file():
        raise UserError(
            Argument(ARGUMENT, folder),
            " holds files that are no copies of clusters: name an empty or a new folder.",
        )
    _check_list(folder, paths, number)
    if as_links:
        return
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    needed, free = sum(os.stat(path).st_size for path in paths), shutil.disk_usage(there).free
    if needed > free:
        raise UserError(
            Argument(ARGUMENT, folder),
            f": {needed / 1e9:,.1f} GB of images do not fit on its disk, which has "
            f"{free / 1e9:,.1f} GB left: make room, or use ", Argument("link_clusters", True), ".",
        )  # fmt: skip


def _check_list(folder: Path, paths: Sequence[str], number: int | None) -> None:
    """Refuses a folder whose list of copies is surely of other clusters."""
    if not (folder / LIST).is_file():
        return
    with open(folder / LIST, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == 2][1:]
    now = sorted(str(Path(path)).encode("utf-8", "replace").decode() for path in paths)
    count = len({copy.partition("/")[0] for copy, _ in rows})
    is_other = sorted(image for _, image in rows) != now
    if number is not None:  # equal images alone can leave clusters empty, which have no copies
        can_be_empty = len({os.stat(path).st_size for path in paths}) < number
        is_other |= count > number or (count < number and not can_be_empty)
    if is_other:
        raise _of_other_clusters(folder)


def _of_other_clusters(folder: Path) -> UserError:
    return UserError(
        Argument(ARGUMENT, folder),
        " holds copies of other clusters: name another folder, or remove it.",
    )


def copy_clusters(
    folder: Path, paths: Sequence[str], numbers: np.ndarray, as_links: bool = False
) -> int:
    """Copies images into sub-folders cluster_000 and so on.

    An image keeps its name; where a cluster has several of one name, the later ones get a number.
    `clusters.csv` lists the copies. A copying that was broken off is continued.

    Args:
        folder: made if it is missing.
        paths: N, of the images.
        numbers: (N,) int, cluster of each.
        as_links: hard links, which take no room, instead of copies.

    Returns:
        How many were copied now.

    Raises:
        UserError: if the folder holds copies of other clusters, a file in the way, or cannot hold
            links.
    """
    copies = planned_copies(paths, numbers)
    folder.mkdir(parents=True, exist_ok=True)
    _write_list(folder, copies)
    copied = 0
    with progress_bar(len(copies), "copying clusters") as bar:
        for copy in copies:
            copied += _copy(copy.source, folder / copy.target, as_links)
            bar.update()
    if copied < len(copies):
        logger.info("%s images had been copied before.", f"{len(copies) - copied:,}")
    return copied


def planned_copies(paths: Sequence[str], numbers: np.ndarray) -> list[Copy]:
    """What goes where; no two images get the same place, also where capitals are not told apart."""
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
    """Lists the copies, before the first is made; refuses a folder with another list."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["copy", "image"])
    writer.writerows((copy.target, str(copy.source)) for copy in copies)
    content = text.getvalue().encode("utf-8", "replace")
    path = folder / LIST
    if path.is_file() and path.read_bytes() != content:
        raise _of_other_clusters(folder)
    if not path.is_file():
        if others := sorted(entry.name for entry in folder.iterdir()):
            raise UserError(
                Argument(ARGUMENT, folder),
                f" holds {others[0]}: name an empty or a new folder.",
            )
        replace_file(path, content)


def _copy(source: Path, target: Path, as_links: bool) -> bool:
    """Copies one image, whole or not at all; gives whether it had to."""
    if target.exists():
        if target.stat().st_size == source.stat().st_size:
            return False
        raise UserError(
            f"{target} exists and is no copy of {source}: it is not overwritten. Move it."
        )
    target.parent.mkdir(exist_ok=True)
    if as_links:
        _link(source.resolve(), target)
        return True
    partial = target.with_name(f".{target.name}.partial")
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
