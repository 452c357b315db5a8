"""Features of many images, in memory or in a temporary file, read in blocks of rows."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BLOCK_BYTES = 16 * 2**20  # 512 rows of 8,192 values: enough for a matrix product at full speed


class Features:
    """(N, F) float32 rows. A slice of them is an array, `features[start:stop]` (n, F).

    Rows in memory are given as views, rows of a file are read anew. The file has no name and goes
    with `close` or with the process, however that ends.

    Args:
        shape: (N, F).
        folder: of the temporary file; None keeps the rows in memory.

    Example:

    >>> with Features((50_000, 8_192), folder="/scratch") as features:
    ...     features.write(0, rows)
    ...     for part, block in row_blocks(features):
    ...         means[part] = block.mean(axis=1)
    """

    def __init__(self, shape: tuple[int, int], folder: str | Path | None = None):
        self.shape, self.folder = tuple(shape), folder
        self._rows = np.empty(shape, np.float32) if folder is None else None
        self._file = None
        if folder is not None:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def in_memory(self) -> bool:
        return self._rows is not None

    @property
    def num_bytes(self) -> int:
        return 4 * self.shape[0] * self.shape[1]

    def write(self, start: int, rows: np.ndarray) -> None:
        """Sets the rows (n, F) from `start` on.

        Raises:
            OSError: the disk is full.
        """
        if self.in_memory:
            self._rows[start : start + len(rows)] = rows
            return
        data = _bytes(np.ascontiguousarray(rows, np.float32))
        try:
            self._file.seek(4 * start * self.shape[1])
            while len(data):  # the system may take less than it is given
                data = data[self._file.write(data) :]
        except OSError as error:
            raise OSError(
                f"Features of {self.num_bytes / 2**20:,.0f} MB cannot be written to {self.folder} "
                f"({error.strerror}): make room there or name another folder."
            ) from error

    def read(self, start: int, rows: np.ndarray) -> np.ndarray:
        """Fills the array `rows` (n, F) float32 with the rows from `start` on, and gives it."""
        if self.in_memory:
            rows[:] = self._rows[start : start + len(rows)]
            return rows
        data = _bytes(rows)
        self._file.seek(4 * start * self.shape[1])
        while len(data):
            count = self._file.readinto(data)
            if count == 0:
                raise OSError(f"The file of features in {self.folder} has been cut short.")
            data = data[count:]
        return rows

    def __getitem__(self, part: slice) -> np.ndarray:
        if self.in_memory:
            return self._rows[part]
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"Features are sliced by whole runs of rows. Received {part}.")
        return self.read(start, np.empty((max(0, stop - start), self.shape[1]), np.float32))

    def load(self) -> np.ndarray:
        """All rows, (N, F) float32: the array itself where they are in memory."""
        return self[:]

    def close(self) -> None:
        """Gives memory and file back."""
        self._rows = None
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> "Features":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _bytes(rows: np.ndarray) -> memoryview:
    """The memory of contiguous rows."""
    return rows.reshape(-1).view(np.uint8).data


def row_blocks(
    features: np.ndarray | Features, num_rows: int | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Goes over the rows in order.

    Args:
        features: (N, F) float, an array or `Features`.
        num_rows: of a block; None for as many as `BLOCK_BYTES` hold.

    Yields:
        A slice of the rows, and the rows (n, F) float32: of a file they lie in a buffer, which the
        next block overwrites.
    """
    count, width = np.shape(features)
    num_rows = num_rows or max(1, BLOCK_BYTES // (4 * width))
    buffer = None
    if isinstance(features, Features) and not features.in_memory:
        buffer = np.empty((min(num_rows, count), width), np.float32)
    for start in range(0, count, num_rows):
        part = slice(start, min(start + num_rows, count))
        if buffer is None:
            yield part, np.asarray(features[part], np.float32)
        else:
            yield part, features.read(start, buffer[: part.stop - start])


def chosen_rows(features: np.ndarray | Features, indices: np.ndarray) -> np.ndarray:
    """The rows (n, F) float32 at indices (n,), read one at a time."""
    rows = np.empty((len(indices), np.shape(features)[1]), np.float32)
    for row, i in zip(rows, indices, strict=True):
        row[:] = features[i : i + 1][0]
    return rows


def check_room(num_bytes: int, folder: str | Path) -> None:
    """Raises an OSError where a folder is missing or its disk cannot take so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise OSError(
            f"{folder} has {free / 2**20:,.0f} MB free and the features need "
            f"{num_bytes / 2**20:,.0f} MB: make room there, name another folder, or give more "
            "memory."
        )
