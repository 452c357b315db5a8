"""Files of which a folder has several names: one of them counts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from and_tf.data.log_once import log_once
from and_tf.data.sources.image_files import ImageFiles

logger = logging.getLogger(__name__)


def first_names(found: ImageFiles, files: np.ndarray) -> np.ndarray:
    """(n,) int, rising: one name of each real file, of hard links the first.

    A name that only links lead to gives way to those that are found without them.

    Args:
        found: N images.
        files: (N,) int, equal where two of the names are of one file.
    """
    is_linked = np.fromiter(map(found.linked.__contains__, found.names), bool, len(found.names))
    order = np.lexsort((is_linked, files))  # stable: among equals the first name
    is_first = np.diff(files[order], prepend=-1) != 0
    return np.sort(order[is_first])


def report_hard_links(
    folder: Path, names: Sequence[str], kept: np.ndarray, files: np.ndarray
) -> None:
    """Logs how many names of files that have another one were left out, and the first of them.

    Args:
        folder: that was searched.
        names: of N images.
        kept: (n,) int, rows from `first_names`.
        files: (N,) int, as there.
    """
    left_out = np.ones(len(names), bool)
    left_out[kept] = False
    row = int(left_out.argmax())
    other = names[kept[files[kept] == files[row]][0]]
    text = f"left out {left_out.sum():,} hard link(s), each a further name of an image here; "
    text += f"the first: {names[row]}, which is {other}"
    log_once(logger, logging.INFO, f"{folder.absolute()}: {text}")
