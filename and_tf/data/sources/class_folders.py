"""The classes that a folder's sub-folders name, and warnings if they do not look like classes."""

from __future__ import annotations

import logging
import os
import unicodedata
from pathlib import Path

import numpy as np

from and_tf.data.log_once import log_once
from and_tf.data.sources.no_photos import holds_output, is_folder, is_ignored
from and_tf.data.splits import SYNONYMS

logger = logging.getLogger(__name__)

LISTED = 3


def class_of(name: str) -> str:
    """The class of an image: the first part of its path, with accents composed (NFC).

    File systems encode accents in two ways; folders whose names differ only in that are one class.
    """
    return normalised(name.partition("/")[0])


def normalised(class_name: str) -> str:
    """A class name with accents composed (NFC)."""
    return unicodedata.normalize("NFC", class_name)


def class_names(names: list[str]) -> list[str] | None:
    """The classes of images, in the order of their folders; None unless all lie in a sub-folder."""
    if not all("/" in name for name in names):
        return None
    folders = sorted({name.partition("/")[0] for name in names})
    return list(dict.fromkeys(map(normalised, folders)))


def class_ids(names: list[str], class_names: list[str]) -> np.ndarray:
    """(N,) int32: the place of each image's class among the names."""
    ids = {class_name: number for number, class_name in enumerate(class_names)}
    folders = [name.partition("/")[0] for name in names]
    of_folder = {folder: ids[normalised(folder)] for folder in set(folders)}
    return np.fromiter(map(of_folder.__getitem__, folders), np.int32, len(names))


def folders_of_classes(folder: str | Path) -> set[str]:
    """The classes that the sub-folders of a folder name, even those without images.

    A link counts if it leads to a folder that is not found without it.
    """
    entries = sorted((entry for entry in os.scandir(folder) if is_folder(entry)), key=_name)
    found, seen = set(), {os.path.realpath(folder)}
    for entry in (entry for entry in entries if not is_ignored(entry.name)):
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if not seen.isdisjoint((target, *map(str, Path(target).parents))):
                continue
            seen.add(target)
        if not _is_left_out(entry.path):
            found.add(normalised(entry.name))
    return found


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_left_out(folder: str) -> bool:
    try:
        return holds_output(folder)
    except OSError:  # it cannot be searched, so opening the images skipped it
        return True


def report_classes(folder: Path, names: list[str], are_all: bool) -> None:
    """Logs what looks like a mistake about the classes of a folder.

    Args:
        folder: that was searched.
        names: of its images.
        are_all: whether these are all classes, rather than only those of some held-out images.
    """
    found = class_names(names)
    if found is None:
        _report_strays(folder, names)
        return
    _report_splits(folder, found)
    if len(found) == 1 and are_all:
        _report_single(folder, names)


def _report_strays(folder: Path, names: list[str]) -> None:
    strays = [name for name in names if "/" not in name]
    if len(strays) == len(names):
        return
    folders = sorted({class_of(name) for name in names if "/" in name})
    log_once(
        logger,
        logging.WARNING if 2 * len(strays) < len(names) else logging.INFO,
        f"{folder.absolute()}: there are no labels, because {len(strays):,} of {len(names):,} "
        f"images ({_listed(strays)}) are next to the sub-folders ({_listed(folders)}) rather than "
        "in one. If the sub-folders are classes, move these images into them or elsewhere.",
    )


def _report_splits(folder: Path, found: list[str]) -> None:
    """Warns if classes are called like splits that were not recognised as such."""
    split_names = {name for names in SYNONYMS.values() for name in names} | {"eval", "dev"}
    if suspects := [name for name in found if name.lower() in split_names]:
        log_once(
            logger,
            logging.WARNING,
            f"{folder.absolute()}: the sub-folder(s) {', '.join(suspects)} are read as classes, "
            "but are named like splits. Splits are train (or training) next to validation (or "
            "valid, val) or test, in lower case.",
        )


def _report_single(folder: Path, names: list[str]) -> None:
    """Warns that all images lie in a single sub-folder, and says which folder to name instead."""
    parts = [parent.split("/") for parent in {name.rpartition("/")[0] for name in names}]
    depth = 0
    while all(len(each) > depth for each in parts) and len({each[depth] for each in parts}) == 1:
        depth += 1
    below = Path(folder, *parts[0][:depth])
    further = {each[depth] for each in parts if len(each) > depth}
    message = (
        f"{folder.absolute()}: all {len(names):,} images are in the one sub-folder {parts[0][0]}, "
        "which makes a single class, and labels of one class say nothing."
    )
    if further:
        listed = _listed(sorted(further))
        message += f" If {listed} are the classes or splits, name {below} instead."
    log_once(logger, logging.WARNING, message)


def _listed(names: list[str]) -> str:
    shown = ", ".join(os.fsencode(name).decode(errors="replace") for name in names[:LISTED])
    return f"{shown}, ..." if len(names) > LISTED else shown
