"""Features of many images, as an array in memory or mapped from a temporary file."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from and_tf.errors import UserError

BLOCK_BYTES = 16 * 2**20  # 512 rows of 8,192 values: enough for a matrix product at full speed


def empty_features(num_images: int, width: int, folder: str | Path | None = None) -> np.ndarray:
    """An array to be filled, in memory or in a temporary file.

    The file has no name and disappears with the array or the process, however that ends. Its disk
    space is allocated at once, so a full disk is an error here, and not when rows are written.

    Args:
        num_images: N.
        width: F, values per image.
        folder: of the temporary file; None for memory.

    Returns:
        (N, F) float32; a `numpy.memmap` if a folder is given.

    Raises:
        UserError: if the folder's disk has no room.
        OSError: if the folder cannot be written to.
    """
    if folder is None:
        return np.empty((num_images, width), np.float32)
    with tempfile.TemporaryFile(dir=folder) as file:  # the map keeps it open
        _allocate(file.fileno(), 4 * num_images * width, folder)
        return np.memmap(file, np.float32, "r+", shape=(num_images, width))


def _allocate(file: int, num_bytes: int, folder: str | Path) -> None:
    """Allocates the disk space of a file: writing to a missing block of a map raises SIGBUS."""
    try:
        os.posix_fallocate(file, 0, num_bytes)
    except (AttributeError, OSError) as error:
        code = getattr(error, "errno", None)  # None: the system does not know the function
        is_full = code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if is_full or shutil.disk_usage(folder).free < num_bytes:
            raise UserError(
                f"{folder} has no room for {num_bytes / 2**20:,.0f} MB of features: make room "
                "there, name another folder, or give more memory."
            ) from error
        os.truncate(file, num_bytes)


def row_blocks(
    features: np.ndarray, num_rows: int | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Iterates over blocks of rows in order.

    Args:
        features: (N, F) float.
        num_rows: per block; None for as many as fit `BLOCK_BYTES`.

    Yields:
        A slice of the rows, and the rows (n, F) float32, a view if they are already float32.
    """
    count, width = np.shape(features)
    num_rows = num_rows or max(1, BLOCK_BYTES // (4 * width))
    for start in range(0, count, num_rows):
        part = slice(start, min(start + num_rows, count))
        yield part, np.asarray(features[part], np.float32)
