"""Compares all rows with one another on the CPU: each pair once, in blocks that fit its caches."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.workers import num_cores
from and_tf.search.accumulators import Accumulators, Buffers, column_sums, row_sums
from and_tf.search.progress import PairProgress

# Two blocks of 1,000 x 1,000 floats per thread, 8 MB, stay in the cache: passes over a block cost
# little compared with its matrix product. Smaller blocks multiply more slowly, larger ones do not
# fit in the cache.
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

    A block of similarities is used for both its rows and its columns. The result depends neither on
    the number of threads nor on their order. If several processes share the work, each compares
    some of the pairs of blocks; the sums then differ from those of one process in their last bits.

    Args:
        unit_rows: (N, D) float32, of length 1 or 0.
        num_neighbours: k, from 1 to N - 1.
        temperature: tau, above 0.
        block_size: most rows in a block; None for about `BLOCK_ROWS`.
        progress: counts the pairs compared by this process.
        sharing: the processes, each with all rows.

    Returns:
        (N,) float64 entropy in nats, the row itself included, and (N, k) int32 neighbours; all
        processes get the same.
    """
    num_rows = len(unit_rows)
    num_threads = num_cores()
    blocks = blocks_of(num_rows, block_size)
    everything = _Pairs(unit_rows, num_neighbours, temperature, blocks)
    with (
        threadpool_limits(1, user_api="blas"),  # we run the threads ourselves: one block each
        ThreadPoolExecutor(num_threads) as pool,
    ):
        for pairs in _rounds(len(blocks)):
            for compared in pool.map(everything.compare, pairs[sharing.number :: sharing.size]):
                progress.add(compared)
    found = everything.found
    found.combine(sharing)
    return found.entropy(~unit_rows.any(axis=1), num_rows), found.neighbours()


def blocks_of(num_rows: int, block_size: int | None) -> list[slice]:
    """Slices of the rows that form a block, of about `BLOCK_ROWS` rows by default."""
    if block_size:
        number = -(-num_rows // block_size)
    elif num_rows <= BLOCK_ROWS:
        number = 1
    else:  # a multiple of 8: a round of pairs then keeps 1, 2 or 4 threads busy to its end
        number = 8 * -(-num_rows // (8 * BLOCK_ROWS))
    ends = np.linspace(0, num_rows, min(number, num_rows) + 1).astype(int).tolist()
    return [slice(start, end) for start, end in itertools.pairwise(ends)]


def _rounds(num_blocks: int) -> Iterator[list[tuple[int, int]]]:
    """Rounds of pairs of blocks, as in a round-robin tournament: each block once per round.

    The threads of a round thus write to different rows, and each row is summed in a fixed order.
    """
    yield [(block, block) for block in range(num_blocks)]
    seats = list(range(num_blocks + num_blocks % 2))  # one seat stays empty if the number is odd
    for _ in range(len(seats) - 1):
        half = len(seats) // 2
        pairs = zip(seats[:half], reversed(seats[half:]), strict=True)
        yield [pair for pair in pairs if max(pair) < num_blocks]
        seats.insert(1, seats.pop())


def comes_first(block: int, other: int, num_blocks: int) -> bool:
    """Whether `_rounds` contains a pair of blocks as (block, other), not the other way round.

    The rows of the first block are divided by the temperature, so the order of a pair determines
    the last bits of its similarities.
    """
    if block == 0 or other == 0 or block == other:
        return other >= block
    turns = num_blocks + num_blocks % 2 - 1  # seats that move, an odd number
    # Blocks a and b meet when the numbers of their seats, counted from 0 without the fixed one, add
    # up to turns - 2; after each round both have moved on by one seat.
    moved = (turns - 2 - (block - 1) - (other - 1)) * (turns + 1) // 2 % turns
    return (block - 1 + moved) % turns + 1 < (turns + 1) // 2


class _Pairs:
    """Compares pairs of blocks and accumulates the results of every row."""

    def __init__(
        self,
        unit_rows: np.ndarray,
        num_neighbours: int,
        temperature: float,
        blocks: list[slice],
    ):
        self.rows, self.blocks = unit_rows, blocks
        self.scale = np.float32(1 / temperature)
        self.found = Accumulators(len(unit_rows), num_neighbours)
        self.buffers = Buffers(max(block.stop - block.start for block in blocks))

    def compare(self, pair: tuple[int, int]) -> int:
        """Compares two blocks, or one with itself; returns the number of pairs of rows."""
        is_diagonal = pair[0] == pair[1]
        first, second = self.blocks[pair[0]], self.blocks[pair[1]]
        queries, others = self.rows[first], self.rows[second]  # (m, D), (n, D)
        logits, weights = self.buffers(len(queries), len(others))
        np.matmul(queries * self.scale, others.T, out=logits)  # (m, n)
        if is_diagonal:
            self.found.offer_others(first, logits, second.start)
        else:
            self.found.nearest.offer(first, logits, second.start)
            self.found.nearest.offer(second, logits.T, first.start)
        # Nothing overflows relative to the logit of a row with itself, the largest possible.
        logits -= self.scale
        np.exp(logits, out=weights)
        self._sum(self.found.totals, weights, first, second)
        weights *= logits
        self._sum(self.found.moments, weights, first, second)
        return logits.size if is_diagonal else 2 * logits.size

    @staticmethod
    def _sum(sums: np.ndarray, block: np.ndarray, first: slice, second: slice) -> None:
        sums[first] += row_sums(block)
        if first != second:
            sums[second] += column_sums(block)
