"""Logs what a search for images left out, and refuses what it may not leave out."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from and_tf.data.formats import install_line, is_photo
from and_tf.data.log_once import log_once
from and_tf.data.sources.image_files import ImageFiles
from and_tf.data.sources.no_photos import MARKED_BY
from and_tf.errors import Argument, BrokenImage

logger = logging.getLogger(__name__)

LISTED_KINDS = 8


def refuse_closed(folder: Path, found: ImageFiles, skip_broken: bool) -> None:
    """Refuses a folder of which a part cannot be searched, or logs what is left out.

    Raises:
        BrokenImage: if the folder itself cannot be searched, or a sub-folder that is not skipped.
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
    remedies = {False: "change their permissions", True: "fix the links' targets, remove the links"}
    return ", ".join(remedies[kind] for kind in sorted(are_links))


def report_folders(folder: Path, found: ImageFiles) -> None:
    """Logs which sub-folders and links were left out, and why."""
    if found.marked:
        shown = ", ".join(sorted(found.marked)[:3]) + (", ..." if len(found.marked) > 3 else "")
        count = f"{len(found.marked):,} sub-folder(s)"
        text = f"left out {count} marked as no photos by {MARKED_BY}: {shown}"
        log_once(logger, logging.INFO, f"{folder.absolute()}: {text}")
    if found.links:
        text = f"left out {found.links:,} link(s) to what is found anyway"
        log_once(logger, logging.INFO, f"{folder.absolute()}: {text}")


def report_left_out(folder: Path, left_out: Counter[str]) -> None:
    """Logs how many files of which kinds were left out, as a warning if there are photos."""
    if left_out:
        level = logging.WARNING if any(map(is_photo, left_out)) else logging.INFO
        log_once(logger, level, f"{folder.absolute()}: {described(left_out)}")


def described(left_out: Counter[str]) -> str:
    """A text such as "left out 3 files that are not images this program reads: 2 .txt, 1 .mov."."""
    total = left_out.total()
    ranked = sorted(left_out, key=lambda ending: (not is_photo(ending), -left_out[ending], ending))
    kinds = [_described_kind(ending, left_out[ending]) for ending in ranked[:LISTED_KINDS]]
    if others := sum(left_out[ending] for ending in ranked[LISTED_KINDS:]):
        kinds.append(f"{others:,} of other kinds")
    what = "file that is not an image" if total == 1 else "files that are not images"
    return f"left out {total:,} {what} this program reads: {', '.join(kinds)}."


def _described_kind(ending: str, count: int) -> str:
    kind = f".{ending}" if ending else "without an ending"
    line = install_line(ending)
    return f"{count:,} {kind} ({line})" if line else f"{count:,} {kind}"
