"""The images of a run whose folder has lost some: which rows of its arrays can still be shown."""

import dataclasses
import os

import numpy as np

from and_tf.data.manifest import Manifest, manifest
from and_tf.data.sources.class_folders import class_ids, class_names, class_of
from and_tf.data.sources.items import holds_paths
from and_tf.data.sources.source import EncodedSource, Source
from and_tf.runs.workdir import Workdir

FEWEST = 2  # images: one has no neighbour


def remaining_images(
    run: Workdir, fingerprint: str, now: Source, held_out: Source | None
) -> tuple[EncodedSource, np.ndarray] | None:
    """All images that a run began with, by its own list, and which of them are still there.

    A source of all images keeps the meaning of the run's rows. Labels come from the folders in the
    names; images on which the run was not trained are left out.

    Args:
        run: the folder.
        fingerprint: of the images that it began with.
        now: the images that are there now.
        held_out: the images that it was evaluated on.

    Returns:
        The source, in which files may be missing, and the rows (n,) int of those that are there.
        None if the run has no list of files, too few are left, they have other classes or bounding
        boxes, or training images would be held out, as when a boundary between splits moves.
    """
    names = [str(name) for name in _names(run)]
    if not names or not isinstance(now, EncodedSource) or (root := _root(now)) is None:
        return None
    if now.boxes is not None:  # those of missing images are not known
        return None
    classes = _classes(names, now)
    if (classes is None) != (now.class_names is None):
        return None
    paths = [root + name for name in names]
    whole = dataclasses.replace(
        now,
        items=paths,
        names=names,
        sizes=run.read_images().sizes,
        labels=None if classes is None else class_ids(names, classes),
        class_names=classes,
        checksums=None,
        mtimes=None,
        shapes=None,
        broken=(),
    )
    is_there = np.array([*map(_is_there, paths, whole.sizes.tolist())], bool)
    present = np.flatnonzero(is_there & _have_their_bytes(names, run.read_images(), now))
    others = held_out.items if isinstance(held_out, EncodedSource) else []
    is_mixed = holds_paths(others) and not set(paths).isdisjoint(others)
    if whole.fingerprint != fingerprint or len(present) < FEWEST or is_mixed:
        return None
    return whole, present


def _have_their_bytes(names: list[str], known: Manifest, now: EncodedSource) -> np.ndarray:
    """(N,) bool: False for images that were edited, as far as checksums show it."""
    found = manifest(now)
    checksums = dict(zip(found.names, found.checksums.tolist(), strict=True))
    pairs = zip(names, known.checksums.tolist(), strict=True)
    return np.array([checksums.get(name, checksum) == checksum for name, checksum in pairs], bool)


def _names(run: Workdir) -> np.ndarray:
    return run.read_images().names if run.images.is_file() else np.array([], object)


def _root(now: EncodedSource) -> str | None:
    """What precedes the names in the paths of files; None if images are not files."""
    if not now.names or not holds_paths(now.items):
        return None
    return str(now.items[0]).removesuffix(now.names[0])


def _classes(names: list[str], now: EncodedSource) -> list[str] | None:
    """The classes of `now`, if all classes in the names are among them."""
    known = now.class_names
    if known is None or class_names(names) is None or {*map(class_of, names)} - {*known}:
        return None
    return known


def _is_there(path: str, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False
