"""Checks rows, scales them to length 1, and removes them from their own neighbours."""

import numpy as np

from and_tf.errors import UserError


def check_widths(rows: np.ndarray, queries: np.ndarray) -> None:
    """Checks that rows (N, D) and queries (Q, D) can be compared.

    Raises:
        UserError: if they cannot.
    """
    for values, name in ((rows, "rows"), (queries, "queries")):
        if len(np.shape(values)) != 2:
            raise UserError(f"{name} must be (number, width). Received shape {np.shape(values)}.")
    if np.shape(rows)[1] != np.shape(queries)[1]:
        raise UserError(
            "rows and queries must have the same width. "
            f"Received rows of shape {np.shape(rows)} and queries of shape {np.shape(queries)}: "
            "take both from the same layer of the same encoder."
        )


def check_finite(values: np.ndarray, name: str, start: int = 0) -> None:
    """Checks that rows contain neither NaN nor infinite values.

    Args:
        values: (n, D) float, a block of rows.
        name: of the values, for the error.
        start: index of the first row of the block, for the error.

    Raises:
        UserError: if some do; the message gives their number and the index of the first.
    """
    is_broken = ~np.isfinite(values).all(axis=1)
    if is_broken.any():
        raise UserError(
            f"{int(is_broken.sum())} of {len(values)} {name} hold NaN or infinite values, first "
            f"index {start + int(is_broken.argmax())}: the encoder that made them has diverged; "
            "take an earlier checkpoint or lower the learning rate."
        )


def unit_rows(values: np.ndarray, name: str = "rows", start: int = 0) -> np.ndarray:
    """Returns an L2-normalised copy of a block of rows; rows of zeros stay zero.

    Args:
        values: (n, D) of any real type.
        name: of the values, for the error.
        start: index of the first row of the block, for the error.

    Returns:
        (n, D) float32.

    Raises:
        UserError: if a row is not finite.
    """
    values = np.asarray(values, dtype=np.float32)
    # The squares of very small and very large float32 values fit in float64, but not in float32.
    lengths = np.sqrt(np.einsum("nd,nd->n", values, values, dtype=np.float64))  # (n,)
    if not np.isfinite(lengths).all():
        check_finite(values, name, start)
    lengths[lengths == 0] = 1
    out = np.empty_like(values)
    return np.divide(values, lengths[:, None], out=out, casting="same_kind")


def is_other(found: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Which of the rows found by a query are not the query itself.

    If exact copies of a row exist, its own index may be missing; the last one found is dropped
    instead.

    Args:
        found: (Q, k + 1) int, rows found, nearest first.
        own: (Q,) int, the row used as the query.

    Returns:
        (Q, k + 1) bool, k of each row True: `found[is_other(found, own)].reshape(-1, k)`.
    """
    is_self = found == np.asarray(own)[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    return ~is_self
