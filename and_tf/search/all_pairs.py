"""All rows compared with one another on the CPU: each pair once, in blocks that fit its caches."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from and_tf.data.sharing import ALONE, Sharing, row_blocks
from and_tf.data.workers import num_cores
from and_tf.search.progress import PairProgress

# Two blocks of 1,000 x 1,000 floats per thread, 8 MB, stay in the cache: passes over a block cost
# little beside its matrix product. Smaller ones multiply slower, larger ones leave the cache.
BLOCK_ROWS = 1000


def compare_all(
    unit_rows: np.ndarray,
    num_neighbours: int,
    temperature: float,
    block_size: int | None,
    progress: PairProgress,
    sharing: Sharing = ALONE,
) -> tuple[np.ndarray, np.ndarray]:
    """Entropy and nearest neighbours of every row.

    A block of similarities serves its rows and its columns alike. The result depends neither on
    the number of threads nor on their order. Of processes that share the work each compares some of
    the pairs of blocks; the sums of all then differ from those of one in their last bits.

    Args:
        unit_rows: (N, D) float32, of length 1 or 0.
        num_neighbours: k, from 1 to N - 1.
        temperature: tau, above 0.
        block_size: rows of a block at most; None: about `BLOCK_ROWS`.
        progress: counts the pairs compared, here alone.
        sharing: the processes, each with all rows.

    Returns:
        (N,) float64 entropy in nats, the row itself included, and (N, k) int32 neighbours, on all
        processes.
    """
    num_rows = len(unit_rows)
    num_threads = num_cores()
    blocks = _blocks(num_rows, block_size)
    accumulators = _Accumulators(unit_rows, num_neighbours, temperature, blocks)
    with (
        threadpool_limits(1, user_api="blas"),  # the threads are ours: one block each
        ThreadPoolExecutor(num_threads) as pool,
    ):
        for pairs in _rounds(len(blocks)):
            for compared in pool.map(accumulators.add, pairs[sharing.number :: sharing.size]):
                progress.add(compared)
    accumulators.combine(sharing)
    return accumulators.entropy(), accumulators.nearest.indices.astype(np.int32)


def _blocks(num_rows: int, block_size: int | None) -> list[slice]:
    if block_size:
        number = -(-num_rows // block_size)
    elif num_rows <= BLOCK_ROWS:
        number = 1
    else:  # a round of pairs then keeps 1, 2 or 4 threads busy to its end
        number = 8 * -(-num_rows // (8 * BLOCK_ROWS))
    ends = np.linspace(0, num_rows, min(number, num_rows) + 1).astype(int).tolist()
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def _rounds(num_blocks: int) -> Iterator[list[tuple[int, int]]]:
    """Pairs of blocks as in a tournament: in a round no block meets two others, at the end all met.

    So the threads of a round write to different rows, and each row is summed in a fixed order.
    """
    yield [(block, block) for block in range(num_blocks)]
    seats = list(range(num_blocks + num_blocks % 2))  # one seat stays empty if they are odd
    for _ in range(len(seats) - 1):
        half = len(seats) // 2
        pairs = zip(seats[:half], reversed(seats[half:]), strict=True)
        yield [pair for pair in pairs if max(pair) < num_blocks]
        seats.insert(1, seats.pop())


class _Accumulators:
    """What is kept of every row while blocks pass: sums of its softmax and its nearest rows."""

    def __init__(
        self,
        unit_rows: np.ndarray,
        num_neighbours: int,
        temperature: float,
        blocks: list[slice],
    ):
        self.rows, self.blocks = unit_rows, blocks
        self.scale = np.float32(1 / temperature)
        self.nearest = Nearest(len(unit_rows), num_neighbours)
        self.totals = np.zeros(len(unit_rows))  # (N,) sum of weights
        self.moments = np.zeros(len(unit_rows))  # (N,) sum of weight x logit
        self.buffers = threading.local()
        self.size = max(block.stop - block.start for block in blocks)

    def add(self, pair: tuple[int, int]) -> int:
        """Compares two blocks, or one with itself; returns the number of pairs of rows."""
        is_diagonal = pair[0] == pair[1]
        first, second = self.blocks[pair[0]], self.blocks[pair[1]]
        queries, others = self.rows[first], self.rows[second]  # (m, D), (n, D)
        logits, weights = self._buffers(len(queries), len(others))
        np.matmul(queries * self.scale, others.T, out=logits)  # (m, n)
        if is_diagonal:
            own = logits.diagonal().copy()
            np.fill_diagonal(logits, -np.inf)  # a row is not its own neighbour
            self.nearest.offer(first, logits, second.start)
            np.fill_diagonal(logits, own)
        else:
            self.nearest.offer(first, logits, second.start)
            self.nearest.offer(second, logits.T, first.start)
        # Relative to the logit of a row with itself, the largest there is, nothing overflows.
        logits -= self.scale
        np.exp(logits, out=weights)
        self._sum(self.totals, weights, first, second)
        weights *= logits
        self._sum(self.moments, weights, first, second)
        return logits.size if is_diagonal else 2 * logits.size

    def _buffers(self, *shape: int) -> np.ndarray:
        """(2, m, n) float32 of this thread: fresh memory costs as much as the passes over it."""
        if not hasattr(self.buffers, "values"):
            self.buffers.values = np.empty(2 * self.size**2, np.float32)
        return self.buffers.values[: 2 * shape[0] * shape[1]].reshape(2, *shape)

    @staticmethod
    def _sum(sums: np.ndarray, block: np.ndarray, first: slice, second: slice) -> None:
        ones = np.ones(max(block.shape), np.float32)
        sums[first] += block @ ones[: block.shape[1]]
        if first != second:
            sums[second] += ones[: block.shape[0]] @ block

    def combine(self, sharing: Sharing) -> None:
        """Puts together what several processes have found, each of other pairs of blocks."""
        if sharing.size == 1:
            return
        self.totals, self.moments = sharing.total(np.stack([self.totals, self.moments]))
        for block in row_blocks(self.nearest.indices, copies=sharing.size):
            self.nearest.combine(block, sharing)

    def entropy(self) -> np.ndarray:
        """(N,) in nats: log of the total, less the mean logit."""
        with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros at low temperatures
            entropy = np.log(self.totals) - self.moments / self.totals
        entropy[~self.rows.any(axis=1)] = np.log(len(self.rows))  # equally far from all
        return np.maximum(entropy, 0)  # not below by rounding


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
