"""Folders of image files; the sub-folders are splits or classes."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.file_checks import FileChecks, check_files
from and_tf.data.formats import EXTENSIONS
from and_tf.data.log_once import log_once
from and_tf.data.sources.class_folders import class_names, class_of, report_classes
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.hard_links import first_names, report_hard_links
from and_tf.data.sources.image_files import ImageFiles, find_images
from and_tf.data.sources.imagenet import listed_classes
from and_tf.data.sources.items import FilePaths
from and_tf.data.sources.left_out import (
    described,
    refuse_closed,
    report_folders,
    report_left_out,
)
from and_tf.data.splits import SYNONYMS, SourceOptions, Splits, unknown_class
from and_tf.errors import Argument, BrokenImage, NotFound
from and_tf.runs.places import expanded

logger = logging.getLogger(__name__)


def folder_splits(path: str, options: SourceOptions) -> Splits:
    """The splits of a folder: its sub-folders named like splits, or all its images as `train`."""
    root = Path(path)
    folders = _split_folders(root)
    if "train" not in folders or len(folders) == 1:
        return Splits(train=functools.partial(_open_with_classes, root, None, options))
    return Splits(
        {
            name: functools.partial(_open_with_classes, folder, folders["train"], options)
            for name, folder in folders.items()
        }
    )


def _split_folders(root: Path) -> dict[str, Path]:
    """Sub-folders that are called like a split, by the split's preferred name."""
    found = {}
    for split, names in SYNONYMS.items():
        folders = [root / name for name in names if os.path.isdir(root / name)]
        if folders:
            found[split] = folders[0]
        for other in folders[1:]:
            text = f"{other.absolute()} is left out: the split {split} is {folders[0].absolute()}."
            log_once(logger, logging.WARNING, text)
    return found


def _open_with_classes(
    folder: Path, train_folder: Path | None, options: SourceOptions
) -> EncodedSource:
    return open_folder(
        folder,
        train_folder,
        options.labels,
        options.skip_broken,
        sharing=options.sharing,
        hard_links=options.hard_links,
    )


def open_folder(
    folder: str | Path,
    train_folder: Path | None = None,
    labels: str = "none",
    skip_broken: bool = False,
    excluded: Collection[Path] = (),
    decode: bool = False,
    sharing: Sharing = ALONE,
    hard_links: bool = False,
) -> EncodedSource:
    """All images below one folder, whatever its sub-folders are called.

    Args:
        folder: searched with its sub-folders.
        train_folder: determines the classes if the folder is one of several splits.
        labels, skip_broken: as in `open_source`.
        excluded: files to leave out.
        decode: check all pixels of every image, as `skip_broken` does, rather than its header.
        sharing: the processes that all open the folder; each checks some of its images.
        hard_links: as in `open_source`.

    Raises:
        NotFound: if there is no such folder, or it holds no image.
        BrokenImage: if it holds a broken image, or a sub-folder that cannot be searched.
        UserError: if it holds a class that the training folder lacks.
    """
    folder = expanded(folder)
    found = _images_in(folder, excluded, skip_broken)
    names, checks = found.names, check_files(folder, found.names, decode or skip_broken, sharing)
    kept = np.arange(len(names)) if hard_links else first_names(found, checks.files)
    if left_out := len(names) - len(kept):
        report_hard_links(folder, names, kept, checks.files)
        names, checks = [names[row] for row in kept.tolist()], checks.take(kept)
    classes, ids = _labels(folder, names, train_folder) if labels == "folders" else (None, None)
    rows = valid_rows(folder, names, checks, skip_broken)
    ids = None if ids is None else ids[rows]
    source = source_of_files(f"folder:{folder}", folder, names, checks, rows, ids, classes)
    return dataclasses.replace(source, hard_links=left_out)


def source_of_files(
    name: str,
    folder: Path,
    names: list[str],
    checks: FileChecks,
    rows: np.ndarray,
    labels: np.ndarray | None,
    class_names: list[str] | None,
    boxes: np.ndarray | None = None,
) -> EncodedSource:
    """The source of the files that are kept, out of N checked ones.

    Args:
        name: of the source.
        folder: that the names are relative to.
        names: of all N files.
        checks: of all N files.
        rows: (n,) int, the files that are kept, from `valid_rows`.
        labels: (n,) int32, or None.
        class_names: of the labels, or None.
        boxes: (n, 4) float64, or None.
    """
    found = zip(names, checks.reasons, strict=True)
    broken = tuple((file, reason) for file, reason in found if reason is not None)
    kept = names if len(rows) == len(names) else [names[row] for row in rows.tolist()]
    return EncodedSource(
        FilePaths(folder, kept),
        name,
        labels,
        class_names,
        kept,
        checks.sizes[rows],
        checksums=None if checks.checksums is None else checks.checksums[rows],
        mtimes=checks.mtimes[rows],
        shapes=checks.shapes[rows],
        broken=broken,
        boxes=boxes,
    )


def _images_in(folder: Path, excluded: Collection[Path], skip_broken: bool) -> ImageFiles:
    """The images below a folder; logs what is left out."""
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a directory: correct the path.")
    found = find_images(folder, excluded)
    refuse_closed(folder, found, skip_broken)
    if not found.names:
        beside = f" Searching it, {described(found.left_out)}" if found.left_out else ""
        raise NotFound(f"{folder} holds no image ({', '.join(EXTENSIONS)}).{beside}")
    report_left_out(folder, found.left_out)
    report_folders(folder, found)
    return found


def _labels(
    folder: Path, names: list[str], train_folder: Path | None
) -> tuple[list[str], np.ndarray] | tuple[None, None]:
    """Names of the classes, and (N,) int32, each image's class as a place among them."""
    report_classes(folder, names, are_all=train_folder in (None, folder))
    classes, of_images = class_names(names), [class_of(name) for name in names]
    if classes is None:
        listed = None
        if train_folder is not None and train_folder != folder:
            listed = listed_classes(folder, names, train_folder)
        if listed is None:
            return None, None
        classes, of_images = sorted(set(listed)), listed
    if train_folder:  # ids must mean the same in every split
        classes = _train_class_names(folder, classes, train_folder)
    places = {name: place for place, name in enumerate(classes)}
    return classes, np.array([places[name] for name in of_images], np.int32)


def _train_class_names(folder: Path, classes: list[str], train_folder: Path) -> list[str]:
    known = class_names(find_images(train_folder).names) or classes
    if unknown := sorted(set(classes) - set(known)):
        raise unknown_class(folder, unknown[0], train_folder)
    return known


def valid_rows(
    folder: Path, names: Sequence[str], checks: FileChecks, skip_broken: bool
) -> np.ndarray:
    """Indices of the images that can be read; broken ones are refused, or left out if skipped."""
    is_valid = np.fromiter((reason is None for reason in checks.reasons), bool, len(names))
    broken = np.flatnonzero(~is_valid)
    if not len(broken):
        return np.arange(len(names))
    first = f"{os.path.join(folder, names[broken[0]])} ({checks.reasons[broken[0]]})"
    start = f"{len(broken)} broken image(s), the first: {first}: "
    if not skip_broken:
        raise BrokenImage(start, "repair or remove, or pass ", Argument("skip_broken", True))
    if len(broken) == len(names):
        raise BrokenImage(start, "none is left")
    shown = ", ".join(names[row] for row in broken[:3]) + (", ..." if len(broken) > 3 else "")
    shown += f" (the first: {checks.reasons[broken[0]]})"
    text = f"skipped {len(broken):,} broken image(s) of {len(names):,}: {shown}"
    log_once(logger, logging.WARNING, f"{folder.absolute()}: {text}")
    return np.flatnonzero(is_valid)
