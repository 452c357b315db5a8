"""Retrieval of images of the same class: recall@n and mean average precision by cosine."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from and_tf.data.progress import progress_bar
from and_tf.errors import Argument, UserError
from and_tf.evaluation.inputs import is_labelled
from and_tf.search.nearest import BLOCK_BYTES, LARGEST_QUERY_BLOCK, RowBlocks
from and_tf.search.precision import full_float32
from and_tf.search.rows import check_widths, unit_rows


def retrieval(
    rows: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    query_labels: np.ndarray,
    top: Sequence[int] = (1, 5, 10),
    exclude_self: bool = False,
    budget_bytes: int | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """How often the nearest reference images of a query have its class.

    recall@n is the fraction of queries with at least one image of their class among the n nearest
    (recall@K of metric learning); mAP is the mean of the average precision over the full ranking.
    Among equally near rows the lower index comes first for recall@n; for average precision they
    count as found at once, as in scikit-learn, so that equal embeddings score no more than chance.

    Rows and queries without a label are left out, and so are queries that no row can answer (see
    `answerable`): their average precision is not defined.

    Args:
        rows: (N, D) float, of the reference images.
        labels: (N,) int, -1 where unknown.
        queries: (Q, D) float.
        query_labels: (Q,) int, -1 where unknown.
        top: the n of each recall@n; all rows if there are fewer.
        exclude_self: the queries are the rows, and query i does not find row i.
        budget_bytes: for similarities held at once; None for `nearest.BLOCK_BYTES`.
        progress: show a bar if the search takes more than a few seconds.

    Returns:
        {"recall_at_1": percent, ..., "mean_average_precision": percent}.

    Raises:
        UserError: if shapes do not fit, rows or queries are not finite, or no query can be
            answered.

    References: Jegou et al., TPAMI 2011 (recall@n); `sklearn.metrics.average_precision_score`.
    """
    labels, query_labels = np.asarray(labels), np.asarray(query_labels)
    check_widths(rows, queries)
    is_labelled(queries, query_labels, "queries")
    if exclude_self and len(rows) != len(queries):
        raise UserError(
            Argument("exclude_self", True),
            f" is for queries that are the rows. Received {len(rows)} rows and {len(queries)} "
            "queries.",
        )
    asked = answerable(labels, query_labels, exclude_self)
    if not asked.any():
        raise UserError(
            f"None of the {len(query_labels)} queries has another image of its class among the "
            f"{len(labels)} reference images: retrieval needs classes of at least two images."
        )
    places, precisions = [], []
    for block, similarity in _similarities(rows, labels, queries, asked, budget_bytes, progress):
        if exclude_self:
            similarity[np.arange(len(block)), block] = -np.inf
        for query, cosines in zip(block, similarity, strict=True):
            is_relevant = (labels == query_labels[query]) & (cosines > -np.inf)
            places.append(_first_place(cosines, is_relevant))
            precisions.append(_average_precision(cosines, is_relevant))
    metrics = {f"recall_at_{n}": 100.0 * float(np.mean(np.less(places, n))) for n in top}
    return metrics | {"mean_average_precision": 100.0 * float(np.mean(precisions))}


def answerable(
    labels: np.ndarray, query_labels: np.ndarray, exclude_self: bool = False
) -> np.ndarray:
    """Which queries have a label, and an image of their class among the rows (other than itself).

    Args:
        labels: (N,) int, -1 where unknown.
        query_labels: (Q,) int, -1 where unknown.
        exclude_self: the queries are the rows: a class of one image answers no query.

    Returns:
        (Q,) bool.
    """
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    return np.isin(query_labels, classes[counts > int(exclude_self)])


def _similarities(
    rows: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    asked: np.ndarray,
    budget_bytes: int | None,
    progress: bool,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields indices of queries (block,) and their cosines (block, N), -inf for unlabelled rows."""
    num_rows, width = np.shape(rows)
    query_block, row_block = _block_sizes(num_rows, width, budget_bytes or BLOCK_BYTES)
    row_blocks = RowBlocks(rows, is_labelled(rows, labels, "rows"), row_block)
    with progress_bar(len(asked), "ranking images", is_shown=progress) as bar:
        for start in range(0, len(asked), query_block):
            part = slice(start, min(start + query_block, len(asked)))
            units = unit_rows(queries[part], "queries", start)[asked[part]]
            similarity = np.full((len(units), num_rows), -np.inf, np.float32)
            for indices, columns in row_blocks:
                with full_float32():
                    products = tf.matmul(units, columns).numpy()
                similarity[:, indices] = products[:, : len(indices)]
            yield start + np.flatnonzero(asked[part]), similarity
            bar.update(part.stop - part.start)


def _block_sizes(num_rows: int, width: int, budget_bytes: int) -> tuple[int, int]:
    """Queries and rows per block: half of the budget is for rows, half for what queries need."""
    row_block = int(np.clip(budget_bytes // 2 // (12 * width), 1, num_rows))
    query_bytes = 12 * width + 4 * num_rows + 4 * row_block  # features, all cosines, a block's
    return int(np.clip(budget_bytes // 2 // query_bytes, 1, LARGEST_QUERY_BLOCK)), row_block


def _first_place(cosines: np.ndarray, is_relevant: np.ndarray) -> int:
    """Place from 0 of the first relevant row in the ranking; ties in order of index."""
    best = np.argmax(np.where(is_relevant, cosines, -np.inf))
    return int(np.sum(cosines > cosines[best]) + np.sum(cosines[:best] == cosines[best]))


def _average_precision(cosines: np.ndarray, is_relevant: np.ndarray) -> float:
    """Mean over the relevant rows of the precision at their place; ties count as found at once."""
    every, relevant = np.sort(cosines), np.sort(cosines[is_relevant])
    found = len(every) - np.searchsorted(every, relevant)  # rows at least as near, (R,)
    right = len(relevant) - np.searchsorted(relevant, relevant)  # relevant ones of these, (R,)
    return float(np.mean(right / found))
