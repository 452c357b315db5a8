"""Approximate discovery among very many images: a faiss index instead of all pairs."""

import logging

import numpy as np
import tensorflow as tf

from and_tf.bank.settings import BankSettings
from and_tf.data.progress import progress_bar
from and_tf.search.faiss_index import FaissIndex, import_faiss
from and_tf.search.neighbourhoods import (
    Neighbourhoods,
    check_numbers,
    discover_sample,
)
from and_tf.search.row_blocks import compare_rows
from and_tf.search.rows import unit_rows

TOP = 100  # nearest rows whose weights are summed one by one
TAIL_SAMPLE = 8192  # rows that represent all the others in the entropy
BATCH = 1024

logger = logging.getLogger(__name__)


def discover_by_index(
    rows: np.ndarray | tf.Tensor,
    neighbourhood_size: int = 1,
    temperature: float = BankSettings.temperature,
    seed: int = 0,
    progress: bool = False,
) -> Neighbourhoods:
    """Approximates `discover` without comparing all pairs.

    An inverted-file index finds the nearest rows; enough of its lists are searched to find 95 % of
    the true neighbours of 1,000 random rows. The softmax sums over the 100 nearest rows exactly and
    estimates all others from a random sample, the same for every row.

    Args:
        rows: (N, D) float, the bank or clean embeddings; L2-normalised copies are used.
        neighbourhood_size: k, from 1 to N - 1.
        temperature: tau, above 0.
        seed: of the index and of all samples; equal seeds give equal results.
        progress: show the rate on terminals, and log recall@k (percent) and the entropy's error
            (nats), both measured on those 1,000 rows.

    Returns:
        Neighbourhoods with `.entropy` (N,) and `.neighbours` (N, k).

    Raises:
        MissingPackage: if faiss is not installed.
        UserError: if k or the temperature is out of range or a row is not finite.
    """
    import_faiss()
    rows = unit_rows(rows)
    check_numbers(len(rows), neighbourhood_size, temperature)
    sample, exact = discover_sample(rows, neighbourhood_size, temperature, seed)
    index = FaissIndex(rows, seed)
    recall = index.widen_search(sample, exact.neighbours)
    tail = _Tail(rows, temperature, seed)
    entropy = np.empty(len(rows), np.float32)
    neighbours = np.empty((len(rows), neighbourhood_size), np.int32)
    with progress_bar(len(rows), "discovery", "row", progress, leave=False) as bar:
        for start in range(0, len(rows), BATCH):
            batch = np.arange(start, min(start + BATCH, len(rows)))
            top = index.search(batch, max(TOP, neighbourhood_size))
            entropy[batch] = tail.entropy(batch, top)
            nearest = top[:, :neighbourhood_size]
            neighbours[batch] = _with_exact_where_lacking(nearest, rows, batch, temperature)
            bar.update(len(batch))
    if progress:
        error = np.abs(entropy[sample] - exact.entropy)
        logger.info(
            f"Discovery by faiss, {index.lists_searched} of {index.num_lists} lists searched; on "
            f"{len(sample):,} rows recall@{neighbourhood_size} {recall:.1f} %, entropy off by "
            f"{error.mean():.4f} nats on average, {error.max():.4f} at most."
        )
    return Neighbourhoods(entropy, neighbours)


def _with_exact_where_lacking(
    neighbours: np.ndarray, rows: np.ndarray, batch: np.ndarray, temperature: float
) -> np.ndarray:
    """Neighbours (b, k), found by exact search where the lists searched contain too few."""
    lacking = (neighbours < 0).any(axis=1)
    if lacking.any():
        _, exact = compare_rows(rows, batch[lacking], neighbours.shape[1], temperature)
        neighbours = neighbours.copy()
        neighbours[lacking] = exact
    return neighbours


class _Tail:
    """Estimates entropies from the nearest rows and a sample that represents the others.

    Args:
        rows: (N, D) float32, of length 1 or 0.
        temperature: tau.
        seed: of the sample.
    """

    def __init__(self, rows: np.ndarray, temperature: float, seed: int):
        self.rows, self.scale = rows, np.float32(1 / temperature)
        size = min(TAIL_SAMPLE, len(rows))
        drawn = np.random.default_rng([seed, 1]).choice(len(rows), size, replace=False)
        self.sampled_rows = rows[drawn]  # (r, D)
        self.place = np.full(len(rows), -1, np.int32)  # of a row in the sample
        self.place[drawn] = np.arange(size)

    def entropy(self, batch: np.ndarray, top: np.ndarray) -> np.ndarray:
        """Entropy (b,) in nats of the softmax of some rows, whose nearest rows are `top` (b, m)."""
        queries = self.rows[batch] * self.scale  # (b, D)
        top = np.column_stack([batch, top])  # (b, m+1), the row itself included
        # Logits are relative to the logit of a row with itself, as in exact discovery.
        near = np.einsum("bd,bmd->bm", queries, self.rows[top]) - self.scale  # (b, m+1)
        far = queries @ self.sampled_rows.T - self.scale  # (b, r)
        is_found = top >= 0
        row, column = np.nonzero(is_found & (self.place[top] >= 0))
        counted_twice = row, self.place[top[row, column]]  # sampled rows among the nearest
        num_far = far.shape[1] - np.bincount(row, minlength=len(batch))
        # How many of the other rows each sampled row represents.
        weight = (len(self.rows) - is_found.sum(axis=1)) / np.maximum(num_far, 1)  # (b,)
        total, moment = _sums(near, np.nonzero(~is_found))
        far_total, far_moment = _sums(far, counted_twice)
        total, moment = total + weight * far_total, moment + weight * far_moment  # (b,)
        with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros at low temperatures
            entropy = np.log(total) - moment / total
        entropy[~queries.any(axis=1)] = np.log(len(self.rows))
        return np.maximum(entropy, 0)


def _sums(logits: np.ndarray, left_out: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Sums (b,) of the weights and of weight x logit, without those at the places left out."""
    weights = np.exp(logits)
    weights[left_out] = 0
    return weights.sum(axis=1), np.vecdot(weights, logits)
