"""Accumulators over blocks of columns: the sums of each row's softmax, and its nearest rows."""

import threading
from typing import Any

import numpy as np

from and_tf.data.exchange import Sharing, row_blocks


class Accumulators:
    """Sums and nearest rows of some rows, over the columns seen so far.

    Attributes:
        totals: (N,) float64, sums of weights, the exponentials of logits.
        moments: (N,) float64, sums of weight x logit. Logits are relative to the logit of a row
            with itself.
        nearest: the k nearest rows.
    """

    def __init__(self, num_rows: int, num_neighbours: int):
        self.totals, self.moments = np.zeros((2, num_rows))
        self.nearest = Nearest(num_rows, num_neighbours)

    def offer_others(self, rows: slice, logits: np.ndarray, first_column: int) -> None:
        """Offers a block (m, m) of some rows with the same rows, leaving out its diagonal."""
        own = logits.diagonal().copy()
        np.fill_diagonal(logits, -np.inf)  # a row is not its own neighbour
        self.nearest.offer(rows, logits, first_column)
        np.fill_diagonal(logits, own)

    def combine(self, sharing: Sharing) -> None:
        """Combines the results of several processes, each over different columns."""
        if sharing.size == 1:
            return
        self.totals, self.moments = sharing.total(np.stack([self.totals, self.moments]))
        for block in row_blocks(self.nearest.indices, copies=sharing.size):
            self.nearest.combine(block, sharing)

    def entropy(self, is_zero: Any, num_columns: int) -> np.ndarray:
        """Entropy of each row's softmax: the log of the total minus the mean logit.

        Args:
            is_zero: (N,) bool, rows of zeros, which are equally far from all rows.
            num_columns: how many columns have been seen.

        Returns:
            (N,) float64 in nats.
        """
        with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros at low temperatures
            entropy = np.log(self.totals) - self.moments / self.totals
        entropy[is_zero] = np.log(num_columns)
        return np.maximum(entropy, 0)  # rounding could make it negative

    def neighbours(self) -> np.ndarray:
        """(N, k) int32, nearest first."""
        return self.nearest.indices.astype(np.int32)


class Buffers:
    """Two blocks of similarities for each thread; allocating new ones costs as much as a pass.

    Args:
        size: rows and columns of the largest block.
    """

    def __init__(self, size: int):
        self.size, self.of_thread = size, threading.local()

    def __call__(self, *shape: int) -> np.ndarray:
        """(2, m, n) float32."""
        if not hasattr(self.of_thread, "values"):
            self.of_thread.values = np.empty(2 * self.size**2, np.float32)
        return self.of_thread.values[: 2 * shape[0] * shape[1]].reshape(2, *shape)


def row_sums(block: np.ndarray) -> np.ndarray:
    """Sums (m,) of the rows of a block (m, n); a product with ones is faster than NumPy's sum."""
    return block @ np.ones(block.shape[1], np.float32)


def column_sums(block: np.ndarray) -> np.ndarray:
    """Sums (n,) of the columns of a block (m, n), computed as in `row_sums`."""
    return np.ones(block.shape[0], np.float32) @ block


class Nearest:
    """The k nearest columns of every row among those offered so far.

    Attributes:
        similarities: (N, k) float32, largest first.
        indices: (N, k) int64, the lower index first where similarities are equal; initially -1.
    """

    def __init__(self, num_rows: int, num_neighbours: int):
        self.similarities = np.full((num_rows, num_neighbours), -np.inf, np.float32)
        self.indices = np.full((num_rows, num_neighbours), -1)

    def offer(self, rows: slice, block: np.ndarray, first_column: int) -> None:
        """Inserts the columns of a block (m, n) that are nearer than a row's k-th nearest.

        Few rows change once many columns have been seen, so a block costs little more than the
        maxima of its rows.
        """
        similarities, indices = self.similarities[rows], self.indices[rows]  # views
        gaining = np.flatnonzero(block.max(axis=1) >= similarities[:, -1])
        block = _take_rows(block, gaining)  # (g, n)
        while len(gaining):
            best = block.argmax(axis=1)
            values, columns = block[np.arange(len(block)), best], first_column + best
            last, last_index = similarities[gaining, -1], indices[gaining, -1]
            is_nearer = (values > last) | ((values == last) & (columns < last_index))
            gaining, block, best = gaining[is_nearer], block[is_nearer], best[is_nearer]
            values, columns = values[is_nearer], columns[is_nearer]
            self._insert(rows.start + gaining, values, columns)
            block[np.arange(len(block)), best] = -np.inf
            may_gain_more = indices[gaining, -1] != columns
            gaining, block = gaining[may_gain_more], block[may_gain_more]

    def combine(self, rows: slice, sharing: Sharing) -> None:
        """Combines the nearest columns of several processes, each of which was offered others."""
        similarities = _of_all(self.similarities[rows], sharing)  # (m, k R)
        indices = _of_all(self.indices[rows], sharing)
        self._keep_best(rows, similarities, indices)

    def add(self, rows: slice, similarities: np.ndarray, indices: np.ndarray) -> None:
        """Inserts whichever of further columns (m, c), of known similarities, are nearer."""
        similarities = np.concatenate([self.similarities[rows], similarities], axis=1)
        indices = np.concatenate([self.indices[rows], indices], axis=1)
        self._keep_best(rows, similarities, indices)

    def _keep_best(self, rows: slice, similarities: np.ndarray, indices: np.ndarray) -> None:
        order = np.lexsort((indices, -similarities))[:, : self.indices.shape[1]]  # (m, k)
        self.similarities[rows] = np.take_along_axis(similarities, order, axis=1)
        self.indices[rows] = np.take_along_axis(indices, order, axis=1)

    def _insert(self, rows: np.ndarray, values: np.ndarray, columns: np.ndarray) -> None:
        """Inserts one nearer column (g,) in order among the neighbours of each of g rows."""
        values = np.column_stack([self.similarities[rows], values])  # (g, k+1)
        columns = np.column_stack([self.indices[rows], columns])
        order = np.lexsort((columns, -values))[:, :-1]  # (g, k)
        self.similarities[rows] = np.take_along_axis(values, order, axis=1)
        self.indices[rows] = np.take_along_axis(columns, order, axis=1)


def _of_all(values: np.ndarray, sharing: Sharing) -> np.ndarray:
    """The values (m, k) of all R processes side by side, (m, k R)."""
    beside = np.zeros((len(values), sharing.size, values.shape[1]), values.dtype)
    beside[:, sharing.number] = values
    return sharing.total(beside).reshape(len(values), -1)


def _take_rows(block: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A contiguous copy of some rows; on a transposed block several times faster than indexing."""
    if block.flags.c_contiguous:
        return block[rows]
    return np.ascontiguousarray(np.take(block.T, rows, axis=1).T)
