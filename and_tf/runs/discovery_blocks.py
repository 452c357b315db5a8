"""Complete blocks of a discovery, saved in a run's folder until they are used."""

import contextlib
import io
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.runs import schema
from and_tf.runs.archives import check_unpacked_size
from and_tf.runs.workdir import Workdir

logger = logging.getLogger(__name__)

ROUNDING = 1e-3  # how far an entropy may exceed its largest value, the logarithm of N


class DiscoveryBlocks:
    """Files of blocks, each with a description of what it was computed from.

    A file only saves computing time: one that does not match, or is corrupt or forged, is removed,
    and its block is computed again.

    Args:
        run: the run's folder.
        origin: returns what a block depends on besides the settings of the search: the step and
            `Workdir.origin`.
    """

    def __init__(self, run: Workdir, origin: Callable[[], dict[str, Any]]):
        self.run, self.origin = run, origin
        self.made_from = ""

    def begin(self, settings: dict[str, Any]) -> None:
        """Removes the blocks of another discovery.

        Args:
            settings: of the search, including a checksum of all rows.
        """
        self.made_from = json.dumps(settings | self.origin(), sort_keys=True)
        for path in self._files():
            if _made_from(path) != self.made_from:
                self._remove(path)

    def read(self, rows: slice, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
        """Entropy (n,) float32 in nats and neighbours (n, k) int32 of a block, if they were saved.

        Args:
            rows: of the block.
            shape: (N, k), of the neighbours of all rows.
        """
        path = self._path(rows)
        if not path.exists():
            return None
        try:
            check_unpacked_size(path, _unpacked(rows, shape))
            with np.load(path, allow_pickle=False) as arrays:
                entropy, neighbours = arrays["entropy"], arrays["neighbours"]
            _check(entropy, neighbours, rows, shape)
        except Exception as error:  # corruption shows in many exceptions
            logger.warning("%s cannot be read (%s): the block is computed again.", path, error)
            self._remove(path)
            return None
        return entropy, neighbours

    def keep(self, rows: slice, entropy: np.ndarray, neighbours: np.ndarray) -> None:
        """Writes the file of a block; if that fails, discovery continues without it."""
        file = io.BytesIO()
        np.savez(file, entropy=entropy, neighbours=neighbours, made_from=np.array(self.made_from))
        try:
            self.run.write_discovered(self._path(rows), file.getvalue())
        except OSError as error:
            logger.warning("A block of discovery is not kept: %s", error)

    def remove(self) -> None:
        """Removes all blocks, which are no longer needed."""
        for path in self._files():
            self._remove(path)
        with contextlib.suppress(OSError):  # missing, or not empty
            self.run.discovery.rmdir()

    def _path(self, rows: slice) -> Path:
        return self.run.discovery / f"rows_{rows.start}_{rows.stop}.npz"

    def _files(self) -> list[Path]:
        return sorted(self.run.discovery.glob("rows_*.npz")) if self.run.can_write() else []

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # such as a folder of that name
            path.unlink()


def _made_from(path: Path) -> str:
    """What the block in a file was computed from; empty if the file cannot be read."""
    try:
        check_unpacked_size(path)
        with np.load(path, allow_pickle=False) as arrays:
            return str(arrays["made_from"])
    except Exception:  # corruption shows in many exceptions
        return ""


def _unpacked(rows: slice, shape: tuple[int, ...]) -> int:
    """Most bytes that a block can take."""
    return 4 * (rows.stop - rows.start) * (1 + shape[1]) + schema.MOST_BYTES


def _check(
    entropy: np.ndarray, neighbours: np.ndarray, rows: slice, shape: tuple[int, ...]
) -> None:
    """Raises a ValueError unless the arrays can be the result of a discovery."""
    count = rows.stop - rows.start
    if entropy.shape != (count,) or neighbours.shape != (count, shape[1]):
        raise ValueError(f"it holds {entropy.shape} and {neighbours.shape} values")
    if entropy.dtype != np.float32 or neighbours.dtype != np.int32:
        raise ValueError(f"it holds {entropy.dtype} and {neighbours.dtype}")
    if not ((entropy >= 0) & (entropy <= math.log(shape[0]) + ROUNDING)).all():
        raise ValueError("an entropy is out of range")
    own = np.arange(rows.start, rows.stop)[:, None]
    if not ((neighbours >= 0) & (neighbours < shape[0]) & (neighbours != own)).all():
        raise ValueError("a neighbour is out of range")
