"""Folders of image files; the sub-folders are splits or classes."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from and_tf.data.decode import why_broken
from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import EncodedSource
from and_tf.data.workers import thread_pool

EXTENSIONS = ("jpg", "jpeg", "png", "bmp", "gif", "webp")


def folder_splits(
    path: str, labels: str, skip_broken: bool
) -> dict[str, Callable[[], EncodedSource]]:
    """The splits of a folder, each as a function that opens it: its own, or all as `train`."""
    root = Path(path)
    splits = [name for name in ("train", "validation", "test") if (root / name).is_dir()]
    if "train" not in splits or len(splits) == 1:
        return {"train": lambda: open_folder(root, None, labels, skip_broken)}
    return {
        name: functools.partial(open_folder, root / name, root / "train", labels, skip_broken)
        for name in splits
    }


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
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no image or a broken one.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder: correct the path.")
    names = _image_names(folder)
    if not names:
        raise ValueError(f"{folder} holds no image ({', '.join(EXTENSIONS)}).")
    class_names = None
    if labels == "folders" and (class_names := _class_names(names)) and train_folder:
        # Ids must mean the same in every split.
        class_names = _train_class_names(folder, class_names, train_folder)
    names = _without_broken(folder, names, skip_broken)
    items = [os.path.join(folder, name) for name in names]
    sizes = np.array([os.path.getsize(item) for item in items], np.int64)
    ids = None
    if class_names:
        ids = np.array([class_names.index(name.partition("/")[0]) for name in names], np.int32)
    return EncodedSource(items, f"folder:{folder}", ids, class_names, names, sizes)


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


def _train_class_names(folder: Path, class_names: list[str], train_folder: Path) -> list[str]:
    known = _class_names(_image_names(train_folder)) or class_names
    if unknown := sorted(set(class_names) - set(known)):
        raise ValueError(
            f"{folder} holds the class {unknown[0]!r}, which {train_folder} does not: rename or "
            "remove it, or pass --labels=none."
        )
    return known


def _without_broken(folder: Path, names: list[str], skip_broken: bool) -> list[str]:
    """Refuses broken images by their headers; or leaves out, after decoding, all that are."""
    check = functools.partial(why_broken, decode=skip_broken)
    paths = [os.path.join(folder, name) for name in names]
    with progress_bar(len(names), "checking images") as progress:
        reasons = []
        for reason in thread_pool().map(check, paths):
            reasons.append(reason)
            progress.update()
    broken = [(path, reason) for path, reason in zip(paths, reasons, strict=True) if reason]
    if broken and (not skip_broken or len(broken) == len(names)):
        remedy = "repair or remove, or pass --skip_broken" if not skip_broken else "none is left"
        raise ValueError(
            f"{len(broken)} broken image(s), the first: {broken[0][0]} ({broken[0][1]}): {remedy}"
        )
    if broken:
        first = ", ".join(os.path.relpath(path, folder) for path, _ in broken[:3])
        more = ", ..." if len(broken) > 3 else ""
        print(
            f"{folder}: skipped {len(broken)} broken image(s) of {len(names)}: {first}{more}",
            file=sys.stderr,
        )
    return [name for name, reason in zip(names, reasons, strict=True) if not reason]
