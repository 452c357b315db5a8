"""All pairs of rows above a cosine: a range search, not limited to a number of neighbours."""

from typing import NamedTuple

import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.errors import Argument, UserError
from and_tf.search.rows import check_widths, unit_rows

BLOCK = 2048  # rows on each side of a product: 16 MB of cosines


class PairsAbove(NamedTuple):
    """Pairs of rows, the most similar first.

    Attributes:
        pairs: (P, 2) int64, first < second.
        similarity: (P,) float32, their cosines.
        threshold: the lowest cosine kept: higher than requested if there were too many pairs.
    """

    pairs: np.ndarray
    similarity: np.ndarray
    threshold: float


def pairs_above(
    rows: np.ndarray,
    threshold: float,
    others: np.ndarray | None = None,
    max_pairs: int | None = None,
    progress: bool = False,
) -> PairsAbove:
    """Finds every pair first < second whose cosine reaches a threshold, in blocks.

    Args:
        rows: (N, D) of any real type.
        threshold: lowest cosine of a pair.
        others: (N, D), where the second of a pair is taken from, such as descriptors of rotated
            images; None for `rows`.
        max_pairs: how many of the most similar to keep; None for all, however many there are.
        progress: show a bar if the search takes a few seconds.

    Returns:
        The pairs, ties by first, then by second.

    Raises:
        UserError: if shapes do not match, rows are not finite, or `max_pairs` is below 1.

    Example:

    >>> pairs_above(np.array([[1.0, 0], [0, 1], [2, 0]]), 0.9).pairs.tolist()
    [[0, 2]]
    """
    others = rows if others is None else others
    check_widths(rows, others)
    if len(rows) != len(others):
        raise UserError(f"others must have {len(rows)} rows, as rows has. Received {len(others)}.")
    if max_pairs is not None and max_pairs < 1:
        raise UserError(Argument("max_pairs", max_pairs), " must be at least 1.")
    found = PairsAbove(np.empty((0, 2), np.int64), np.empty(0, np.float32), threshold)
    starts = range(0, len(rows), BLOCK)
    with progress_bar(len(rows), "pairs of images", is_shown=progress) as bar:
        for start in starts:
            first = unit_rows(rows[start : start + BLOCK], "rows", start)
            for other in starts[start // BLOCK :]:
                second = unit_rows(others[other : other + BLOCK], "others", other)
                found = _joined(found, _block(first, second, start, other, found.threshold))
                if max_pairs is not None and len(found.pairs) > 2 * max_pairs:
                    found = _most_similar(found, max_pairs)
            bar.update(len(first))
    return _most_similar(found, max_pairs)


def _block(
    first: np.ndarray, second: np.ndarray, start: int, other: int, threshold: float
) -> PairsAbove:
    """The pairs between two blocks of unit rows that begin at `start` and `other`."""
    cosines = first @ second.T  # (block, block)
    row, column = np.nonzero(cosines >= threshold)
    is_pair = start + row < other + column
    row, column = row[is_pair], column[is_pair]
    pairs = np.stack([start + row, other + column], axis=1).astype(np.int64)
    return PairsAbove(pairs, cosines[row, column], threshold)


def _joined(first: PairsAbove, second: PairsAbove) -> PairsAbove:
    if not len(second.pairs):
        return first
    pairs = np.concatenate([first.pairs, second.pairs])
    return PairsAbove(pairs, np.concatenate([first.similarity, second.similarity]), first.threshold)


def _most_similar(found: PairsAbove, max_pairs: int | None) -> PairsAbove:
    """Sorts pairs and keeps at most `max_pairs`; the threshold rises to the lowest kept cosine."""
    order = np.lexsort((found.pairs[:, 1], found.pairs[:, 0], -found.similarity))
    threshold = found.threshold
    if max_pairs is not None and len(order) > max_pairs:
        order = order[:max_pairs]
        threshold = float(found.similarity[order[-1]])
    return PairsAbove(found.pairs[order], np.clip(found.similarity[order], -1, 1), threshold)
