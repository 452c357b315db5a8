"""Folders of image files; the sub-folders are splits or classes."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path

import numpy as np

from and_tf.data.file_checks import FileChecks, check_files
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.splits import SYNONYMS, SourceOptions, Splits
from and_tf.errors import Argument, BrokenImage, NotFound, UserError

logger = logging.getLogger(__name__)

EXTENSIONS = ("jpg", "jpeg", "png", "bmp", "gif", "webp")


def folder_splits(path: str, options: SourceOptions) -> Splits:
    """The splits of a folder: its sub-folders of such names, or all its images as `train`."""
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
    """Sub-folders that are called like a split, by the first name of that split."""
    found = {}
    for split, names in SYNONYMS.items():
        folders = [root / name for name in names if (root / name).is_dir()]
        if folders:
            found[split] = folders[0]
        for other in folders[1:]:
            logger.warning("%s is left out: the split %s is %s.", other, split, folders[0])
    return found


def _open_with_classes(
    folder: Path, train_folder: Path | None, options: SourceOptions
) -> EncodedSource:
    return open_folder(folder, train_folder, options.labels, options.skip_broken)


def open_folder(
    folder: Path,
    train_folder: Path | None = None,
    labels: str = "none",
    skip_broken: bool = False,
) -> EncodedSource:
    """All images below one folder, whatever its sub-folders are called.

    Args:
        folder: searched with its sub-folders.
        train_folder: gives the classes, where the folder is a split of a larger one.
        labels, skip_broken: as in `open_source`.

    Raises:
        NotFound: if there is no such folder, or it holds no image.
        BrokenImage: if it holds a broken image.
        UserError: if it holds a class that the training folder lacks.
    """
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a directory: correct the path.")
    names = _image_names(folder)
    if not names:
        raise NotFound(f"{folder} holds no image ({', '.join(EXTENSIONS)}).")
    class_names = None
    if labels == "folders" and (class_names := _class_names(names)):
        _warn_of_splits(folder, class_names)
        if train_folder:  # ids must mean the same in every split
            class_names = _train_class_names(folder, class_names, train_folder)
    checks = check_files(folder, names, decode=skip_broken)
    rows = _valid_rows(folder, names, checks, skip_broken)
    names = [names[row] for row in rows]
    return EncodedSource(
        [os.path.join(folder, name) for name in names],
        f"folder:{folder}",
        _class_ids(names, class_names) if class_names else None,
        class_names,
        names,
        checks.sizes[rows],
        checksums=None if checks.checksums is None else checks.checksums[rows],
        shapes=checks.shapes[rows],
    )


def _image_names(folder: Path) -> list[str]:
    """Paths of the images below a folder, relative to it, sorted."""
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [n for n in folders if not n.startswith(".") and not _is_loop(parent, n)]
        for name in files:
            if not name.startswith(".") and name.lower().rpartition(".")[2] in EXTENSIONS:
                found.append(Path(parent, name).relative_to(folder).as_posix())
    return sorted(found)


def _is_loop(parent: str, name: str) -> bool:
    """Whether a sub-folder is a link to a folder that the walk is in, by whatever links it came."""
    path = Path(parent, name).absolute()
    if not path.is_symlink():
        return False
    target = os.path.realpath(path)
    return any(Path(os.path.realpath(above)).is_relative_to(target) for above in path.parents)


def _class_names(names: list[str]) -> list[str] | None:
    if not all("/" in name for name in names):
        return None
    return sorted({name.partition("/")[0] for name in names})


def _class_ids(names: list[str], class_names: list[str]) -> np.ndarray:
    """(N,) int32: the place of each image's class among the names."""
    ids = {class_name: number for number, class_name in enumerate(class_names)}
    return np.array([ids[name.partition("/")[0]] for name in names], np.int32)


def _warn_of_splits(folder: Path, class_names: list[str]) -> None:
    """Says so where classes are called like splits, which were not recognised as such."""
    split_names = {name for names in SYNONYMS.values() for name in names} | {"eval", "dev"}
    if found := [name for name in class_names if name.lower() in split_names]:
        logger.warning(
            "%s: the sub-folder(s) %s are read as classes, but are called like splits. Splits are "
            "train (or training) beside validation (or valid, val) or test, in small letters.",
            folder,
            ", ".join(found),
        )


def _train_class_names(folder: Path, class_names: list[str], train_folder: Path) -> list[str]:
    known = _class_names(_image_names(train_folder)) or class_names
    if unknown := sorted(set(class_names) - set(known)):
        raise UserError(
            f"{folder} holds the class {unknown[0]!r}, which {train_folder} does not: rename or "
            "remove it, or pass ",
            Argument("labels", "none"),
            ".",
        )
    return known


def _valid_rows(
    folder: Path, names: list[str], checks: FileChecks, skip_broken: bool
) -> np.ndarray:
    """Indices of the images that can be read; refuses the others, or leaves them out."""
    is_valid = np.array([reason is None for reason in checks.reasons])
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
    logger.warning(
        "%s: skipped %d broken image(s) of %d: %s", folder, len(broken), len(names), shown
    )
    return np.flatnonzero(is_valid)
