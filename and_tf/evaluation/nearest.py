"""Nearest rows by cosine, exact, in blocks of rows and of queries that keep to a byte budget."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from and_tf.data.workers import progress_bar
from and_tf.evaluation.inputs import check_widths, unit_rows
from and_tf.precision import full_float32

BLOCK_BYTES = 256 * 2**20  # of rows, queries and similarities held at once
LARGEST_QUERY_BLOCK = 1024  # more at once is no faster


def nearest_rows(
    rows: np.ndarray,
    queries: np.ndarray,
    k: int,
    chosen: np.ndarray | None = None,
    budget_bytes: int | None = None,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of highest cosine with each query, without an array of size (Q, N).

    Args:
        rows: (N, D) float; slices of them are all that is taken into memory.
        queries: (Q, D) float.
        k: 1..N, or the number of chosen rows.
        chosen: (N,) bool, rows that may be found; None for all.
        budget_bytes: of blocks held at once; None for `BLOCK_BYTES`.
        progress: show a bar where it takes a few seconds.

    Returns:
        indices (Q, k) int32 and cosines (Q, k) float32, nearest first, ties by lower index.

    Raises:
        ValueError: shapes that do not fit, k out of range, rows or queries that are not finite.
    """
    num_queries = np.shape(queries)[0]
    indices = np.empty((num_queries, k), np.int32)
    similarity = np.empty((num_queries, k), np.float32)
    for part, *found in nearest_blocks(rows, queries, k, chosen, budget_bytes, progress):
        indices[part], similarity[part] = found
    return indices, similarity


def nearest_blocks(
    rows: np.ndarray,
    queries: np.ndarray,
    k: int,
    chosen: np.ndarray | None = None,
    budget_bytes: int | None = None,
    progress: bool = False,
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """`nearest_rows`, one block of queries at a time.

    Yields:
        A slice of the queries, and indices (block, k) and cosines (block, k) of its nearest rows.
    """
    check_widths(rows, queries)
    (num_rows, width), num_queries = np.shape(rows), len(queries)
    chosen = np.ones(num_rows, bool) if chosen is None else chosen
    if not 1 <= k <= chosen.sum():
        raise ValueError(f"k must lie in 1..{chosen.sum()}, the number of rows. Received k={k}.")
    query_block, row_block = block_sizes(num_rows, width, k, budget_bytes or BLOCK_BYTES)
    row_blocks = RowBlocks(rows, chosen, row_block)
    with progress_bar(num_queries if progress else 0, "nearest images") as bar:
        for start in range(0, num_queries, query_block):
            part = slice(start, min(start + query_block, num_queries))
            block = tf.constant(unit_rows(queries[part], "queries", start))
            yield part, *_nearest(row_blocks, block, k)
            if progress:
                bar.update(part.stop - part.start)


def block_sizes(num_rows: int, width: int, k: int, budget_bytes: int) -> tuple[int, int]:
    """Queries and rows of a block: half of the budget is for rows, half for what queries find."""
    row_bytes = 12 * width  # as read, of unit length, on the device
    row_block = int(np.clip(budget_bytes // 2 // row_bytes, 1, num_rows))
    query_bytes = 12 * width + 8 * row_block + 64 * k  # similarities twice, votes
    query_block = int(np.clip(budget_bytes // 2 // query_bytes, 1, LARGEST_QUERY_BLOCK))
    return query_block, row_block


class RowBlocks:
    """Iterates over the chosen rows as pairs of their indices and unit rows, in order.

    Args:
        rows: (N, D) float.
        chosen: (N,) bool.
        size: rows of a block. A single block is made once and kept.
    """

    def __init__(self, rows: np.ndarray, chosen: np.ndarray, size: int):
        self.rows, self.chosen, self.size = rows, chosen, size
        self.kept = None

    def __iter__(self) -> Iterator[tuple[np.ndarray, tf.Tensor]]:
        if self.kept is not None:
            yield self.kept
            return
        for start in range(0, len(self.chosen), self.size):
            part = slice(start, start + self.size)
            inside = np.flatnonzero(self.chosen[part])
            if len(inside):
                block = np.asarray(self.rows[part], np.float32)
                block = block if len(inside) == len(block) else block[inside]
                found = start + inside, tf.constant(unit_rows(block, "rows", start))
                if self.size >= len(self.chosen):
                    self.kept = found
                yield found


def _nearest(row_blocks, queries, k):
    """Indices and cosines (block, k), the best of all blocks of rows."""
    best_indices = np.empty((len(queries), 0), np.int32)
    best = np.empty((len(queries), 0), np.float32)
    for indices, rows in row_blocks:
        with full_float32():
            similarity, columns = _top_k(rows, queries, min(k, len(indices)))
        best_indices = np.concatenate([best_indices, indices[columns.numpy()]], axis=1)
        best = np.concatenate([best, similarity.numpy()], axis=1)
        if best.shape[1] > similarity.shape[1]:  # stable: of equals the lower index, which is first
            order = np.argsort(-best, axis=1, kind="stable")[:, :k]
            best_indices = np.take_along_axis(best_indices, order, axis=1)
            best = np.take_along_axis(best, order, axis=1)
    return best_indices, best


@tf.function(
    input_signature=[
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((), tf.int32),
    ]
)
def _top_k(rows, queries, k):
    similarity = tf.matmul(queries, rows, transpose_b=True)  # (block, rows of a block)
    return tf.math.top_k(similarity, k)  # ties by lower index
