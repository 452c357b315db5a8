"""Parts of a split that hold all classes, and a warning about parts that do not."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import numpy as np

from and_tf.data.log_once import log_once

if TYPE_CHECKING:
    from and_tf.data.sources.arrays import ArraySource
    from and_tf.data.sources.encoded import EncodedSource

logger = logging.getLogger(__name__)

STRATIFIED = "stratified_"
LISTED = 3
CERTAIN = 10  # so many images in the order of their classes are not there by chance


def stratified_order(labels: np.ndarray | None, count: int) -> np.ndarray:
    """A fixed order of images in which every part holds each class in proportion.

    Args:
        labels: (N,) int, -1 where an image has none; or None for any fixed random order.
        count: N.

    Returns:
        (N,) int64, each row once.
    """
    rng = np.random.default_rng(0)
    chance = rng.random(count)
    if labels is None:
        return np.argsort(chance)
    place = np.empty(count)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        place[rows[np.argsort(chance[rows])]] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.lexsort((chance, place))


def report_sorted_part(
    source: ArraySource | EncodedSource, rows: np.ndarray | None, split: str, spec: str
) -> None:
    """Warns of a part that lacks classes because the images are in the order of their classes.

    Args:
        source: the whole split, or the part itself if `rows` is None: then its own labels decide.
        rows: (n,) int, of the part.
        split: the part, in TFDS notation.
        spec: of the data set.
    """
    labels, names = source.labels, source.class_names
    if labels is None or not names or not _are_blocks(labels, CERTAIN if rows is None else 1):
        return
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    expected = np.full(len(names), 1.0)
    if rows is not None:
        expected = counts * (len(rows) / len(labels))
        part = labels[rows]
        counts = np.bincount(part[part >= 0], minlength=len(names))
    lacking = np.flatnonzero((counts < expected / 2) & (expected > 0))
    if not len(lacking):
        return
    shown = ", ".join(repr(names[label]) for label in lacking[:LISTED])
    better = re.sub(r"\w+(?=\s*\[)", lambda name: STRATIFIED + name[0], split)
    log_once(
        logger,
        logging.WARNING,
        f"{spec} is sorted by class, so {split} holds few or no images of "
        f"{len(lacking):,} of {len(names):,} classes ({shown}{', ...' * (len(lacking) > LISTED)}): "
        f"{better} holds all of them.",
    )


def _are_blocks(labels: np.ndarray, at_least: int) -> bool:
    """Whether each class is one block of images, and there are too many for that to be chance."""
    blocks = 1 + np.count_nonzero(np.diff(labels))
    distinct = len(np.unique(labels))
    return blocks == distinct and len(labels) >= max(at_least, 2 * distinct)
