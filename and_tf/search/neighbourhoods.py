"""Exact discovery: the entropy of every row's neighbourhood, and its nearest rows."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from and_tf.bank.settings import BankSettings
from and_tf.data.exchange import ALONE, Sharing, gathered
from and_tf.data.partition import share
from and_tf.errors import Argument, UserError
from and_tf.search.all_pairs import compare_all
from and_tf.search.choices import PRECISIONS
from and_tf.search.progress import PairProgress
from and_tf.search.row_blocks import compare_rows
from and_tf.search.rows import unit_rows

SAMPLE = 1000  # rows on which a faster discovery is compared with the exact one

logger = logging.getLogger(__name__)


class Neighbourhoods(NamedTuple):
    """What discovery finds for every image.

    Attributes:
        entropy: (N,) float32 in nats, of the softmax of a row against the whole bank, including
            itself. Low entropy means a consistent neighbourhood.
        neighbours: (N, k) int32, the nearest rows by cosine, nearest first, excluding itself.
    """

    entropy: np.ndarray
    neighbours: np.ndarray


def discover(
    rows: np.ndarray | tf.Tensor,
    neighbourhood_size: int = 1,
    temperature: float = BankSettings.temperature,
    block_size: int | None = None,
    precision: str = "float32",
    progress: bool = False,
    sharing: Sharing = ALONE,
    devices: Sequence[str] = (),
) -> Neighbourhoods:
    """Finds the entropy and the nearest neighbours of every row, by comparing it with all.

    On the CPU each pair is compared once; on a GPU, or in half precision, TensorFlow compares
    blocks of rows with all.

    Args:
        rows: (N, D) float, the bank or clean embeddings; L2-normalised copies are used.
        neighbourhood_size: k, from 1 to N - 1.
        temperature: tau, above 0.
        block_size: rows compared at once; need not divide N. By default as many as suit the caches.
        precision: `float32`, or for GPUs `bfloat16` or `float16`, to which the factors of the
            similarities are rounded.
        progress: show the rate on terminals; log an estimate of the time if it exceeds a minute
            and, for half precision, the overlap with the neighbours that float32 finds.
        sharing: the processes that share the work, each holding all rows; all get all results. If
            none holds all rows, use `discover_in_blocks`.
        devices: names of this process's devices that share TensorFlow's part of the work; by
            default the first GPU, or the CPU.

    Returns:
        Neighbourhoods with `.entropy` (N,) and `.neighbours` (N, k).

    Raises:
        UserError: if k, the temperature or the precision is out of range or a row is not finite.

    Reference: Huang et al., ICML 2019, section 3.2, eq. 3 and 4.
    """
    check_precision(precision)
    rows = unit_rows(rows)
    check_numbers(len(rows), neighbourhood_size, temperature)
    settings = (neighbourhood_size, temperature, block_size)
    with PairProgress(len(rows), progress, sharing.size) as counted:
        if precision == "float32" and not tf.config.list_logical_devices("GPU"):
            entropy, neighbours = compare_all(rows, *settings, counted, sharing)
        else:
            start, stop = share(len(rows), sharing.number, sharing.size)
            own = np.arange(start, stop)
            parts = compare_rows(rows, own, *settings, precision, counted, devices)
            entropy, neighbours = (gathered(sharing, part, start, len(rows)) for part in parts)
    found = Neighbourhoods(entropy.astype(np.float32), neighbours)
    if progress and precision != "float32":
        sample, exact = discover_sample(rows, neighbourhood_size, temperature)
        logger.info(
            "Discovery in %s: %.1f %% of the neighbours that float32 finds, on %s rows.",
            precision, neighbour_overlap(exact.neighbours, neighbours[sample]), f"{len(sample):,}",
        )  # fmt: skip
    return found


def neighbour_overlap(before: np.ndarray, after: np.ndarray) -> float:
    """Percentage of the neighbours `before` that are still neighbours in `after`.

    Args:
        before, after: (N, k) int.
    """
    kept = (before[:, :, None] == after[:, None, :]).any(axis=2)  # (N, k)
    return 100.0 * float(kept.mean())


def discover_sample(
    unit_rows: np.ndarray, neighbourhood_size: int, temperature: float, seed: int = 0
) -> tuple[np.ndarray, Neighbourhoods]:
    """Runs exact discovery for up to 1,000 random rows, each compared with all.

    Returns:
        (S,) int, the chosen rows in ascending order; and their Neighbourhoods.
    """
    rng = np.random.default_rng(seed)
    size = min(SAMPLE, len(unit_rows))
    sample = np.sort(rng.choice(len(unit_rows), size, replace=False))
    found = compare_rows(unit_rows, sample, neighbourhood_size, temperature)
    return sample, Neighbourhoods(*found)


def check_precision(precision: str) -> None:
    """Checks the name of a precision.

    Raises:
        UserError: if it is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        accepted = ", ".join(PRECISIONS)
        raise UserError(Argument("discovery_precision", precision), f" must be one of {accepted}.")


def check_numbers(num_rows: int, neighbourhood_size: int, temperature: float) -> None:
    """Checks the numbers that any discovery takes.

    Raises:
        UserError: if one is out of range.
    """
    if not 1 <= neighbourhood_size < num_rows:
        raise UserError(
            Argument("neighbourhood_size", neighbourhood_size),
            f" must be at least 1 and smaller than the number of images, {num_rows}: lower it or "
            "add images.",
        )
    if not temperature > 0:
        raise UserError(Argument("temperature", temperature), " must be above 0.")
