"""What is kept of rows while blocks of others pass: sums of their softmax, and their nearest."""

import threading
from typing import Any

import numpy as np

from and_tf.data.exchange import Sharing, row_blocks


class Accumulators:
    """Of some rows, among the columns that have passed so far.

    Attributes:
        totals: (N,) float64, sums of weights, the exponentials of logits.
        moments: (N,) float64, sums of weight x logit. Logits are relative to that of a row with
            itself.
        nearest: the k nearest rows.
    """

    def __init__(self, num_rows: int, num_neighbours: int):
        self.totals, self.moments = np.zeros((2, num_rows))
        self.nearest = Nearest(num_rows, num_neighbours)

    def offer_others(self, rows: slice, logits: np.ndarray, first_column: int) -> None:
        """Offers what is near to rows in a block, (m, m), of the same rows: all but themselves."""
        own = logits.diagonal().copy()
        np.fill_diagonal(logits, -np.inf)  # a row is not its own neighbour
        self.nearest.offer(rows, logits, first_column)
        np.fill_diagonal(logits, own)

    def combine(self, sharing: Sharing) -> None:
        """Puts together what several processes have found, each among other columns."""
        if sharing.size == 1:
            return
        self.totals, self.moments = sharing.total(np.stack([self.totals, self.moments]))
        for block in row_blocks(self.nearest.indices, copies=sharing.size):
            self.nearest.combine(block, sharing)

    def entropy(self, is_zero: Any, num_columns: int) -> np.ndarray:
        """Log of the total, less the mean logit.

        Args:
            is_zero: (N,) bool, rows of zeros, which are equally far from all.
            num_columns: that have passed.

        Returns:
            (N,) float64 in nats.
        """
        with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros at low temperatures
            entropy = np.log(self.totals) - self.moments / self.totals
        entropy[is_zero] = np.log(num_columns)
        return np.maximum(entropy, 0)  # not below by rounding

    def neighbours(self) -> np.ndarray:
        """(N, k) int32, nearest first."""
        return self.nearest.indices.astype(np.int32)


class Buffers:
    """Two blocks of similarities for each thread: fresh memory costs as much as passes over it.

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
    """(m, n) to (m,), by a product with ones, which is faster than NumPy's sum."""
    return block @ np.ones(block.shape[1], np.float32)


def column_sums(block: np.ndarray) -> np.ndarray:
    """(m, n) to (n,), as `row_sums`."""
    return np.ones(block.shape[0], np.float32) @ block


class Nearest:
    """The k nearest of every row among the columns offered so far.

    Attributes:
        similarities: (N, k) float32, largest first.
        indices: (N, k) int64, the lower index first where similarities are equal; -1 at the start.
    """

    def __init__(self, num_rows: int, num_neighbours: int):
        self.similarities = np.full((num_rows, num_neighbours), -np.inf, np.float32)
        self.indices = np.full((num_rows, num_neighbours), -1)

    def offer(self, rows: slice, block: np.ndarray, first_column: int) -> None:
        """Takes from a block, (m, n), what is nearer than the k-th nearest of its m rows.

        Few rows gain once many columns have passed, so a block costs little more than its maxima.
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
        """The nearest among the columns that were offered to any of several processes, each of
        which has been offered others."""
        similarities = _of_all(self.similarities[rows], sharing)  # (m, k R)
        indices = _of_all(self.indices[rows], sharing)
        self._keep_best(rows, similarities, indices)

    def add(self, rows: slice, similarities: np.ndarray, indices: np.ndarray) -> None:
        """Takes what is nearer from other columns, (m, c), of known similarities."""
        similarities = np.concatenate([self.similarities[rows], similarities], axis=1)
        indices = np.concatenate([self.indices[rows], indices], axis=1)
        self._keep_best(rows, similarities, indices)

    def _keep_best(self, rows: slice, similarities: np.ndarray, indices: np.ndarray) -> None:
        order = np.lexsort((indices, -similarities))[:, : self.indices.shape[1]]  # (m, k)
        self.similarities[rows] = np.take_along_axis(similarities, order, axis=1)
        self.indices[rows] = np.take_along_axis(indices, order, axis=1)

    def _insert(self, rows: np.ndarray, values: np.ndarray, columns: np.ndarray) -> None:
        """Puts one nearer column, (g,), in its place among the neighbours of each of some rows."""
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
    """A contiguous copy of some rows; for a transposed block several times faster than indexing."""
    if block.flags.c_contiguous:
        return block[rows]
    return np.ascontiguousarray(np.take(block.T, rows, axis=1).T)
