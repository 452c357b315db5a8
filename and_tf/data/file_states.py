"""Sizes and times of image files, of which a folder may hold a million."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.data.parts import in_parts
from and_tf.data.progress import progress_bar
from and_tf.data.reading import is_away, with_patience

_WORD = 2**64 - 1


class FileStates(NamedTuple):
    """Sizes and times of files in their order; -1 for files that do not exist.

    Attributes:
        sizes: (N,) int64, bytes.
        mtimes, ctimes: (N,) int64, in nanoseconds: time of the last change of the content, and of
            the inode; the second also reveals an edit that sets the first one back.
        files: (N,) int64, the row of the first name of each file, which its hard links share.
    """

    sizes: np.ndarray
    mtimes: np.ndarray
    ctimes: np.ndarray
    files: np.ndarray


def file_states(folder: Path, names: Sequence[str]) -> FileStates:
    """Sizes and times of files, as the file system has them now."""
    count = len(names)
    sizes, mtimes, ctimes = np.full((3, count), -1, np.int64)
    states = FileStates(sizes, mtimes, ctimes, np.arange(count))
    numbers = np.zeros((2, count), np.uint64)  # device and inode, of files with several names

    def read(rows: np.ndarray) -> None:
        for row in rows.tolist():
            state = _state(os.path.join(folder, names[row]))
            if state is None:
                continue
            states.sizes[row] = state.st_size
            states.mtimes[row], states.ctimes[row] = state.st_mtime_ns, state.st_ctime_ns
            if state.st_nlink > 1:
                numbers[:, row] = state.st_dev & _WORD, state.st_ino & _WORD

    run_through(in_parts(read, np.arange(count)), count, "looking for images")
    _find_hard_links(states, *numbers)
    return states


def _find_hard_links(states: FileStates, devices: np.ndarray, inodes: np.ndarray) -> None:
    """Fills in the first name of each file that has several names.

    Some network file systems give files the inode 0, or two files the same inode. So 0 is ignored,
    and names count as one file only if size and times agree, too.

    Args:
        states: of N files.
        devices, inodes: (N,) uint64, 0 for files with one name.
    """
    rows = np.flatnonzero(inodes)
    if not len(rows):
        return
    keys = np.stack([inodes, devices, *(a.view(np.uint64) for a in states[:2])])[:, rows]
    order = np.lexsort(keys)  # stable: the rows of each file ascend
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (keys[:, order[1:]] != keys[:, order[:-1]]).any(axis=0)
    firsts = rows[order[is_first]]
    states.files[rows[order]] = firsts[np.cumsum(is_first) - 1]


def _state(path: str) -> os.stat_result | None:
    """The `stat` of a file; None if it is gone, or its name is not valid as a file's."""
    try:
        return os.stat(path)
    except ValueError:
        return None
    except OSError as error:
        if not is_away(path, error):
            return None
    return with_patience(path, lambda: os.stat(path))


def run_through(parts: Iterable[int], count: int, description: str) -> None:
    """Iterates over the parts of some work and shows progress."""
    with progress_bar(count, description) as progress:
        for done in parts:
            progress.update(done)
