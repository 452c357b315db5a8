"""Rows to compare: checked, and at length 1."""

import numpy as np


def check_widths(rows: np.ndarray, queries: np.ndarray) -> None:
    """Raises a ValueError unless rows (N, D) and queries (Q, D) can be compared."""
    for values, name in ((rows, "rows"), (queries, "queries")):
        if len(np.shape(values)) != 2:
            raise ValueError(f"{name} must be (number, width). Received shape {np.shape(values)}.")
    if np.shape(rows)[1] != np.shape(queries)[1]:
        raise ValueError(
            "rows and queries must have the same width. "
            f"Received rows of shape {np.shape(rows)} and queries of shape {np.shape(queries)}: "
            "take both from the same layer of the same encoder."
        )


def check_finite(values: np.ndarray, name: str, start: int = 0) -> None:
    """Raises a ValueError with the number of rows (N, D) that hold NaN or infinite values.

    Args:
        values: a block of rows.
        name: of the values.
        start: index of the first row of the block.
    """
    is_broken = ~np.isfinite(values).all(axis=1)
    if is_broken.any():
        raise ValueError(
            f"{int(is_broken.sum())} of {len(values)} {name} hold NaN or infinite values, first "
            f"index {start + int(is_broken.argmax())}: the encoder that made them has diverged; "
            "take an earlier checkpoint or lower the learning rate."
        )


def unit_rows(values: np.ndarray, name: str, start: int = 0) -> np.ndarray:
    """An L2-normalised float32 copy of a block of rows (n, D); rows of zeros stay zeros.

    Raises:
        ValueError: rows that are not finite.
    """
    values = np.asarray(values, dtype=np.float32)
    check_finite(values, name, start)
    # The squares of small float32 values underflow; their sum in float64 does not.
    norms = np.sqrt(np.einsum("nd,nd->n", values, values, dtype=np.float64))
    scale = np.where(norms > 0, norms, 1).astype(np.float32)
    return values / scale[:, None]
