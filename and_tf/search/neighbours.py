"""The nearest other rows of every row, for use from Python."""

from typing import Any, NamedTuple

import numpy as np

from and_tf.errors import UserError
from and_tf.search.nearest import nearest_others


class Neighbours(NamedTuple):
    """The nearest other rows of each row, nearest first.

    Attributes:
        indices: (N, k) int32.
        cosines: (N, k) float32, -1 to 1.
    """

    indices: np.ndarray
    cosines: np.ndarray


def neighbours(embeddings: Any, k: int = 10) -> Neighbours:
    """Finds the k nearest other rows of every row by cosine, exactly.

    Args:
        embeddings: (N, D) float, as `embed` returns them; rows may have any length.
        k: from 1 to N - 1.

    Returns:
        `Neighbours`, which unpacks to indices (N, k) and cosines (N, k), nearest first, ties by
        lower index.

    Raises:
        UserError: if k is out of range, or the rows are not a finite (N, D) array.

    Example:

    >>> indices, cosines = and_tf.neighbours(embeddings, k=5)
    """
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.number):
        raise UserError(
            f"embeddings must be numbers of shape (N, D). Received {rows.dtype} of shape "
            f"{rows.shape}."
        )
    indices, cosines = nearest_others(rows, k)
    return Neighbours(indices, np.clip(cosines, -1, 1))
