"""Files that have several names in a folder, of which one counts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from and_tf.data.log_once import log_once
from and_tf.data.sources.image_files import ImageFiles

logger = logging.getLogger(__name__)


def first_names(found: ImageFiles, files: np.ndarray) -> np.ndarray:
    """(n,) int, ascending: the row of one name of each file, the first if there are hard links.

    Names that are found without symbolic links are preferred to names that only such links lead to.

    Args:
        found: N images.
        files: (N,) int, equal for names of the same file.
    """
    is_linked = np.fromiter(map(found.linked.__contains__, found.names), bool, len(found.names))
    order = np.lexsort((is_linked, files))  # stable: the first name among equals
    is_first = np.diff(files[order], prepend=-1) != 0
    return np.sort(order[is_first])


def report_hard_links(
    folder: Path, names: Sequence[str], kept: np.ndarray, files: np.ndarray
) -> None:
    """Logs how many further names of files were left out, and the first of them.

    Args:
        folder: that was searched.
        names: of N images.
        kept: (n,) int, the result of `first_names`.
        files: (N,) int, as passed to it.
    """
    left_out = np.ones(len(names), bool)
    left_out[kept] = False
    row = int(left_out.argmax())
    other = names[kept[files[kept] == files[row]][0]]
    text = f"left out {left_out.sum():,} hard link(s), each another name of an image here; "
    text += f"the first: {names[row]}, which is {other}"
    log_once(logger, logging.INFO, f"{folder.absolute()}: {text}")
