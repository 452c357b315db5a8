"""What a start needs to know of image files, each read once: header, size and checksum.

The checks are kept in the user's cache folder, so that the next start reads only files that are
new or have changed.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.data import check_cache
from and_tf.data.decode import header_shape, load_image, reason
from and_tf.data.decoder_warnings import naming_image
from and_tf.data.progress import progress_bar
from and_tf.data.workers import thread_pool
from and_tf.errors import BrokenImage

CHECKED_BYTES = 4 << 30  # larger sets are compared by names and sizes alone: reading takes minutes


class FileChecks(NamedTuple):
    """Of files in their order.

    Attributes:
        sizes: (N,) int64, bytes.
        checksums: (N,) uint32, CRC-32 of the content; None for sets above `CHECKED_BYTES`.
        shapes: (N, 2) int32, height and width in pixels; 0 where the file is broken.
        reasons: why a file is no readable image; None where it is one.
    """

    sizes: np.ndarray
    checksums: np.ndarray | None
    shapes: np.ndarray
    reasons: list[str | None]


class Check(NamedTuple):
    """Of one file; see `FileChecks`."""

    checksum: int
    shape: tuple[int, int]
    reason: str | None


def check_files(folder: Path, names: Sequence[str], decode: bool = False) -> FileChecks:
    """Checks image files, those that the cache does not know in threads.

    Args:
        folder: in which they lie.
        names: their paths relative to it.
        decode: whether all pixels are decoded; else only the header is read.
    """
    paths = [os.path.join(folder, name) for name in names]
    states = list(thread_pool().map(_state, paths))
    sizes = np.array([0 if state is None else state.st_size for state in states], np.int64)
    with_checksum = int(sizes.sum()) <= CHECKED_BYTES
    known = check_cache.read(folder, decode, with_checksum)
    checks: list[Check] = []

    def check(row: int) -> Check:
        state = states[row]
        held = None if state is None else known.get(names[row], state)
        return held or _check(paths[row], state, decode, with_checksum)

    with progress_bar(len(names), "checking images") as progress:
        for found in thread_pool().map(check, range(len(names))):
            checks.append(found)
            progress.update()
    known.write(names, states, checks)
    return FileChecks(
        sizes,
        np.array([check.checksum for check in checks], np.uint32) if with_checksum else None,
        np.array([check.shape for check in checks], np.int32).reshape(-1, 2),
        [check.reason for check in checks],
    )


def _state(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _check(path: str, state: os.stat_result | None, decode: bool, with_checksum: bool) -> Check:
    """Opens a file once; reads no more of it than its header where nothing else is asked for."""
    try:
        state = state or os.stat(path)  # again, for its error
        if not stat.S_ISREG(state.st_mode):  # reading a pipe would hang
            return Check(0, (0, 0), "no regular file")
        if state.st_size == 0:
            return Check(0, (0, 0), "empty file")
        content = Path(path).read_bytes() if with_checksum or decode else None
        with naming_image(os.path.abspath(path)):
            shape = header_shape(path if content is None else content)
            if decode and content is not None:
                load_image(content)
        checksum = zlib.crc32(content) if content is not None and with_checksum else 0
        return Check(checksum, shape, None)
    except MemoryError:
        raise
    except Exception as error:  # corrupt files make Pillow raise nearly anything
        cause = error.__cause__ if isinstance(error, BrokenImage) else None
        return Check(0, (0, 0), reason(cause or error))
