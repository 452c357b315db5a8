"""Approximate discovery among very many images: a faiss index instead of all pairs."""

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from and_tf.methods.anchor_neighbourhoods.discovery import (
    Neighbourhoods,
    checked_unit_rows,
    discover_sample,
)
from and_tf.search.row_blocks import compare_rows, without_self

RECALL = 95.0  # percent of the true k nearest that the search must find on a sample
TOP = 100  # nearest rows whose weights are summed one by one
TAIL_SAMPLE = 8192  # rows that stand for all the others in the entropy
ROWS_PER_LIST = 39  # at least: with fewer, faiss holds the lists' centres to be ill trained
TRAINING_ROWS_PER_LIST = 64
BATCH = 1024


def import_faiss():
    """The module, or an error that says how to install it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "--neighbour_search=faiss needs faiss: `pip install -r requirements-faiss.txt`"
        ) from error
    return faiss


def discover_by_index(
    rows: np.ndarray | tf.Tensor,
    neighbourhood_size: int = 1,
    temperature: float = 0.1,
    seed: int = 0,
    progress: bool = False,
) -> Neighbourhoods:
    """What `discover` finds, approximately, without comparing all pairs.

    An inverted-file index gives the nearest rows; as many of its lists are searched as find 95 % of
    the true neighbours of 1,000 random rows. The softmax takes the 100 nearest rows as they are,
    and all others as a random sample of them, the same for every row.

    Args:
        rows: (N, D) float, the bank or clean embeddings; L2-normalised copies are used.
        neighbourhood_size: k, from 1 to N - 1.
        temperature: tau, above 0.
        seed: of the index and of all samples; equal seeds give equal results.
        progress: show the rate on terminals, and print recall@k (percent) and the entropy's error
            (nats), both measured on that sample of rows.

    Returns:
        Neighbourhoods with `.entropy` (N,) and `.neighbours` (N, k).

    Raises:
        ImportError: if faiss is not installed.
        ValueError: if k or the temperature is out of range or a row is not finite.
    """
    import_faiss()
    rows = checked_unit_rows(rows, neighbourhood_size, temperature)
    sample, exact = discover_sample(rows, neighbourhood_size, temperature, seed)
    index = _build_index(rows, seed)
    recall = _widen_search(index, rows, sample, exact)
    tail = _Tail(rows, temperature, seed)
    entropy = np.empty(len(rows), np.float32)
    neighbours = np.empty((len(rows), neighbourhood_size), np.int32)
    bar = tqdm(
        total=len(rows), desc="Discovery", unit=" rows", leave=False, delay=3,
        disable=None if progress else True,
    )  # fmt: skip
    for start in range(0, len(rows), BATCH):
        batch = np.arange(start, min(start + BATCH, len(rows)))
        top = _search(index, rows, batch, max(TOP, neighbourhood_size))
        entropy[batch] = tail.entropy(batch, top)
        neighbours[batch] = _filled(top[:, :neighbourhood_size], rows, batch, temperature)
        bar.update(len(batch))
    bar.close()
    if progress:
        error = np.abs(entropy[sample] - exact.entropy)
        tqdm.write(
            f"Discovery by faiss, {index.nprobe} of {index.nlist} lists searched; on "
            f"{len(sample):,} rows recall@{neighbourhood_size} {recall:.1f} %, entropy off by "
            f"{error.mean():.4f} nats on average, {error.max():.4f} at most."
        )
    return Neighbourhoods(entropy, neighbours)


def _build_index(rows: np.ndarray, seed: int):
    faiss = import_faiss()
    num_rows, dim = rows.shape
    num_lists = int(min(4 * np.sqrt(num_rows), num_rows / ROWS_PER_LIST)) or 1
    index = faiss.index_factory(dim, f"IVF{num_lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed % 2**31
    index.cp.min_points_per_centroid = 1  # fewer rows than it likes are all there are
    index.cp.max_points_per_centroid = TRAINING_ROWS_PER_LIST
    index.train(rows)
    index.add(rows)
    return index


def _widen_search(index, rows: np.ndarray, sample: np.ndarray, exact: Neighbourhoods) -> float:
    """Doubles the lists that are searched until the recall suffices; returns it in percent."""
    k = exact.neighbours.shape[1]
    index.nprobe = 1
    while True:
        recall = _recall(rows, sample, _search(index, rows, sample, k), exact)
        if recall >= RECALL or index.nprobe == index.nlist:
            return recall
        index.nprobe = min(2 * index.nprobe, index.nlist)


def _recall(
    rows: np.ndarray, sample: np.ndarray, found: np.ndarray, exact: Neighbourhoods
) -> float:
    """Percent of what was found, (S, k), that is as near as the k-th nearest: copies are equal."""
    cosines = [
        np.einsum("sd,skd->sk", rows[sample], rows[neighbours])  # (S, k)
        for neighbours in (found, exact.neighbours)
    ]
    is_near = cosines[0] >= cosines[1].min(axis=1, keepdims=True) - 1e-6
    return 100.0 * float(np.mean(is_near & (found >= 0)))


def _search(index, rows: np.ndarray, batch: np.ndarray, number: int) -> np.ndarray:
    """(b, m) int32, the nearest rows found, nearest first, without the own; -1 where none is."""
    _, found = index.search(rows[batch], min(number + 1, len(rows)))
    return without_self(found, batch)


def _filled(
    neighbours: np.ndarray, rows: np.ndarray, batch: np.ndarray, temperature: float
) -> np.ndarray:
    """Neighbours, (b, k), from exact search where the lists that were searched hold too few."""
    lacking = (neighbours < 0).any(axis=1)
    if lacking.any():
        _, exact = compare_rows(rows, batch[lacking], neighbours.shape[1], temperature)
        neighbours = neighbours.copy()
        neighbours[lacking] = exact
    return neighbours


class _Tail:
    """Entropies from the nearest rows and a sample of all, which stands for the others.

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
        """(b,) in nats, of the softmax of some rows; `top`, (b, m), are their nearest."""
        queries = self.rows[batch] * self.scale  # (b, D)
        top = np.column_stack([batch, top])  # (b, m+1), the row itself included
        # Logits are relative to that of a row with itself, as in exact discovery.
        near = np.einsum("bd,bmd->bm", queries, self.rows[top]) - self.scale  # (b, m+1)
        far = queries @ self.sampled_rows.T - self.scale  # (b, r)
        is_found = top >= 0
        row, column = np.nonzero(is_found & (self.place[top] >= 0))
        twice = row, self.place[top[row, column]]  # sampled rows that are among the nearest
        num_far = far.shape[1] - np.bincount(row, minlength=len(batch))
        share = (len(self.rows) - is_found.sum(axis=1)) / np.maximum(num_far, 1)
        total, moment = _sums(near, np.nonzero(~is_found))
        far_total, far_moment = _sums(far, twice)
        total, moment = total + share * far_total, moment + share * far_moment  # (b,)
        with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros at low temperatures
            entropy = np.log(total) - moment / total
        entropy[~queries.any(axis=1)] = np.log(len(self.rows))
        return np.maximum(entropy, 0)


def _sums(logits: np.ndarray, left_out: tuple) -> tuple[np.ndarray, np.ndarray]:
    """(b,) each, of the weights and of weight x logit, without those at the places left out."""
    weights = np.exp(logits)
    weights[left_out] = 0
    return weights.sum(axis=1), np.vecdot(weights, logits)
