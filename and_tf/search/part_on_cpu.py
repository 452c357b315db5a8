"""Compares a process's part of the rows with blocks of queries on the CPU."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from and_tf.data.workers import num_cores
from and_tf.search.accumulators import Accumulators, Buffers, column_sums, row_sums
from and_tf.search.all_pairs import comes_first


class PartOnCpu:
    """The part of all rows that one process holds.

    Args:
        rows: (n, D) float32, of length 1 or 0.
        blocks: slices of all rows, see `blocks_of`.
        own: numbers of the blocks that make up `rows`.
        num_neighbours: k, at least 1.
        temperature: tau, above 0.
    """

    def __init__(
        self,
        rows: np.ndarray,
        blocks: list[slice],
        own: range,
        num_neighbours: int,
        temperature: float,
    ):
        self.rows, self.blocks, self.own = rows, blocks, own
        self.num_neighbours, self.scale = num_neighbours, np.float32(1 / temperature)
        self.buffers = Buffers(max(block.stop - block.start for block in blocks))

    def compare(self, queries: np.ndarray, numbers: range) -> Accumulators:
        """Compares queries with the rows held here.

        Args:
            queries: (Q, D) float32, of length 1 or 0.
            numbers: of the blocks that make up the queries. One thread handles each block, so its
                rows are summed in a fixed order.
        """
        found = Accumulators(len(queries), self.num_neighbours)
        first = self.blocks[numbers[0]].start

        def add(number: int) -> None:
            block = self.blocks[number]
            place = slice(block.start - first, block.stop - first)
            for other in self.own:
                self._add(found, place, queries[place], number, other)

        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(num_cores()) as pool,
        ):
            list(pool.map(add, numbers))
        return found

    def _add(
        self, found: Accumulators, place: slice, queries: np.ndarray, number: int, other: int
    ) -> None:
        """Compares a block of queries (m, D) with one of rows and adds the result at `place`."""
        block, start = self.blocks[other], self.blocks[self.own[0]].start
        others = self.rows[block.start - start : block.stop - start]  # (n, D)
        is_first = comes_first(number, other, len(self.blocks))
        left, right = (queries, others) if is_first else (others, queries)
        logits, weights = self.buffers(len(left), len(right))
        np.matmul(left * self.scale, right.T, out=logits)  # as in `compare_all`, bit for bit
        sums = row_sums if is_first else column_sums
        if number == other:
            found.offer_others(place, logits, block.start)
        else:
            found.nearest.offer(place, logits if is_first else logits.T, block.start)
        logits -= self.scale
        np.exp(logits, out=weights)
        found.totals[place] += sums(weights)
        weights *= logits
        found.moments[place] += sums(weights)
