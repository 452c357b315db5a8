"""Discovery in blocks of rows: for rows that no process holds in full, or that take hours.

Each process holds a part of the rows. Block by block, rows are sent to every process and compared
there with its part, and the results of all parts are combined. The block is then complete and can
be saved.
"""

from __future__ import annotations

import functools
import logging
import zlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from and_tf.bank.settings import BankSettings
from and_tf.data.exchange import ALONE, Sharing, from_first
from and_tf.data.partition import share
from and_tf.search.all_pairs import blocks_of
from and_tf.search.neighbourhoods import Neighbourhoods, check_numbers, check_precision
from and_tf.search.part_on_cpu import PartOnCpu
from and_tf.search.part_on_devices import PartOnDevices
from and_tf.search.progress import PairProgress
from and_tf.search.rows import is_other, unit_rows

BLOCK_BYTES = 64 << 20  # of rows sent at once, in float32
# From this many rows on it pays to save complete blocks: discovery takes the better part of an hour
# on one A100. With fewer rows, starting again takes less than an epoch.
ROWS_WORTH_KEEPING = 10_000_000

logger = logging.getLogger(__name__)


class RowSource(Protocol):
    """Rows that are read in blocks, since they may be too many for one process.

    Attributes:
        shape: (N, D).
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self, rows: slice) -> np.ndarray:
        """Reads some rows (n, D) on all processes, which must make the same calls in order."""


class WholeRows:
    """A `RowSource` from an array (N, D) that every process holds."""

    def __init__(self, rows: np.ndarray):
        self.rows, self.shape = rows, rows.shape

    def read(self, rows: slice) -> np.ndarray:
        return self.rows[rows]


class KeptBlocks(Protocol):
    """Where the first process saves the complete blocks of a discovery."""

    def begin(self, settings: dict[str, Any]) -> None:
        """Discards blocks made from other rows, identified by their checksum, or settings."""

    def read(self, rows: slice, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
        """Entropy (n,) and neighbours (n, k) of a block, if they were saved; `shape` is (N, k)."""

    def keep(self, rows: slice, entropy: np.ndarray, neighbours: np.ndarray) -> None:
        """Saves the entropy (n,) and neighbours (n, k) of a block."""


def discover_in_blocks(
    rows: RowSource,
    neighbourhood_size: int = 1,
    temperature: float = BankSettings.temperature,
    block_size: int | None = None,
    precision: str = "float32",
    progress: bool = False,
    sharing: Sharing = ALONE,
    kept: KeptBlocks | None = None,
    devices: Sequence[str] = (),
) -> Neighbourhoods:
    """Does what `discover` does for rows that no process needs to hold in full.

    In addition to its part of the rows, (N / R, D), a process holds copies of a block, 64 MiB each.
    On CPUs in float32 the neighbours equal those of `discover`, since similarities are equal bit
    for bit, but each pair is compared twice.

    Args:
        rows: (N, D) float, of any length.
        neighbourhood_size, temperature, block_size, precision, progress, devices: as in `discover`.
        sharing: the processes that share the work; all get all results.
        kept: where to save complete blocks, so that a discovery that was killed continues with the
            missing ones.

    Returns:
        Neighbourhoods with `.entropy` (N,) and `.neighbours` (N, k).

    Raises:
        UserError: as in `discover`.
    """
    check_precision(precision)
    num_rows, dim = rows.shape
    check_numbers(num_rows, neighbourhood_size, temperature)
    plan = _Plan(blocks_of(num_rows, block_size), dim, sharing)
    own_rows, checksum = _own_rows(rows, plan)
    settings = (neighbourhood_size, temperature, precision)
    part = _part(own_rows, plan, *settings, devices)
    found = Neighbourhoods(
        np.zeros(num_rows, np.float32), np.zeros((num_rows, neighbourhood_size), np.int32)
    )
    is_kept = np.zeros(len(plan.blocks), np.int32)
    if kept is not None:
        made_from = {"rows": checksum, "temperature": temperature, "precision": precision}
        found, is_kept = _kept(kept, found, plan, made_from, sharing)
    with PairProgress(num_rows, progress, sharing.size) as counted:
        for block, numbers, is_done in zip(plan.blocks, plan.numbers, is_kept, strict=True):
            pairs = (block.stop - block.start) * len(own_rows)
            if is_done:
                counted.skip(pairs)
                continue
            queries = unit_rows(rows.read(block), start=block.start)
            sums = part.compare(queries, numbers)
            sums.combine(sharing)
            found.entropy[block] = sums.entropy(~queries.any(axis=1), num_rows)
            found.neighbours[block] = _others(sums.neighbours(), block, neighbourhood_size)
            if kept is not None and sharing.number == 0:
                kept.keep(block, found.entropy[block], found.neighbours[block])
            counted.add(pairs)
    return found


class _Plan:
    """Which rows are sent at once, and which rows this process holds.

    Attributes:
        small: slices of rows, the blocks of similarities.
        numbers: for each block that is sent, the range of the numbers of its `small` blocks.
        blocks: slices of the rows that are sent at once.
        own: numbers of the `small` blocks whose rows this process holds.
        own_rows: slice of these rows.
    """

    def __init__(self, small: list[slice], dim: int, sharing: Sharing):
        self.small = small
        at_once = max(1, BLOCK_BYTES // (4 * dim * (small[0].stop - small[0].start)))
        # Not more than a process's part: with few rows, a block would contain them all.
        at_once = min(at_once, -(-len(small) // sharing.size))
        self.numbers = [
            range(first, min(first + at_once, len(small)))
            for first in range(0, len(small), at_once)
        ]
        self.blocks = [self._rows(numbers) for numbers in self.numbers]
        self.own = range(*share(len(small), sharing.number, sharing.size))
        self.own_rows = self._rows(self.own)

    def _rows(self, numbers: range) -> slice:
        if not numbers:
            return slice(0, 0)
        return slice(self.small[numbers[0]].start, self.small[numbers[-1]].stop)


def _own_rows(rows: RowSource, plan: _Plan) -> tuple[np.ndarray, int]:
    """This process's rows, (n, D) float32 of length 1 or 0, and a checksum of all rows."""
    place, checksum = plan.own_rows, 0
    own = np.empty((place.stop - place.start, rows.shape[1]), np.float32)
    for block in plan.blocks:
        found = unit_rows(rows.read(block), start=block.start)
        checksum = zlib.crc32(found.data, checksum)
        start, stop = max(place.start, block.start), min(place.stop, block.stop)
        if start < stop:
            own[start - place.start : stop - place.start] = found[
                start - block.start : stop - block.start
            ]
    return own, checksum


def _part(
    rows: np.ndarray,
    plan: _Plan,
    num_neighbours: int,
    temperature: float,
    precision: str,
    devices: Sequence[str],
) -> PartOnCpu | PartOnDevices:
    settings = (num_neighbours, temperature)
    if chosen := _devices(precision, devices):
        return PartOnDevices(rows, plan.own_rows.start, *settings, precision, chosen)
    return PartOnCpu(rows, plan.small, plan.own, *settings)


def _devices(precision: str, devices: Sequence[str]) -> Sequence[str]:
    """The devices on which TensorFlow compares rows: GPUs, or the CPU in half precision.

    Empty for float32 on the CPU, which NumPy compares. By default only the first GPU, as in
    `discover`: a run without a strategy uses no other.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if precision == "float32" and not gpus:
        return ()
    return devices or gpus[:1] or ["CPU:0"]


def _kept(
    kept: KeptBlocks,
    found: Neighbourhoods,
    plan: _Plan,
    settings: dict[str, Any],
    sharing: Sharing,
) -> tuple[Neighbourhoods, np.ndarray]:
    """Sends what the first process saved to all, and which blocks these are: (blocks,) int32."""
    is_kept = np.zeros(len(plan.blocks), np.int32)
    if sharing.number == 0:
        kept.begin(settings)
        for number, block in enumerate(plan.blocks):
            values = kept.read(block, found.neighbours.shape)
            if values is not None:
                found.entropy[block], found.neighbours[block] = values
                is_kept[number] = True
    is_kept, *both = (
        from_first(sharing, functools.partial(np.asarray, values), values.shape, values.dtype)
        for values in (is_kept, *found)
    )
    if is_kept.any():
        logger.info("Discovery continues: %d of %d blocks are done.", is_kept.sum(), len(is_kept))
    return Neighbourhoods(*both), is_kept


def _others(candidates: np.ndarray, rows: slice, num_neighbours: int) -> np.ndarray:
    """Neighbours (n, k): the candidates, without the rows themselves if they are (n, k + 1)."""
    if candidates.shape[1] == num_neighbours:
        return candidates
    own = np.arange(rows.start, rows.stop)
    return candidates[is_other(candidates, own)].reshape(-1, num_neighbours)
