"""What the protocols on features share: which rows count, how many classes, and the checks.

Features are an array or anything else of a shape whose slices are arrays, such as `Features` on
disk: nothing here takes more of them into memory than it is given.
"""

import numpy as np


def labelled(values: np.ndarray, labels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have a label, and their labels; the arrays themselves where all have one.

    Args:
        values: (N, D) float.
        labels: (N,) int, -1 where unknown.
        name: of the values, for the errors.

    Raises:
        ValueError: as `is_labelled`.
    """
    values, labels = np.asarray(values), np.asarray(labels)
    chosen = is_labelled(values, labels, name)
    return (values, labels) if chosen.all() else (values[chosen], labels[chosen])


def is_labelled(values: np.ndarray, labels: np.ndarray, name: str) -> np.ndarray:
    """Which rows have a label.

    Args:
        values: (N, D) float.
        labels: (N,) int, -1 where unknown.
        name: of the values, for the errors.

    Returns:
        (N,) bool.

    Raises:
        ValueError: shapes that do not fit, labels that are no integers from -1, no label at all.
    """
    shape, labels = np.shape(values), np.asarray(labels)
    if len(shape) != 2 or labels.shape != shape[:1]:
        raise ValueError(
            f"{name} must be (N, D) and labels (N,). "
            f"Received {name} of shape {shape} and labels of shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < -1:
        raise ValueError(
            "labels must be integers from 0, or -1 where unknown. "
            f"Received {labels.dtype} labels from {labels.min(initial=0)} on."
        )
    if not (labels >= 0).any():
        raise ValueError(
            f"None of the {len(labels)} {name} has a label (all are -1): a classifier needs a "
            "labelled set; without labels use the label-free figures."
        )
    return labels >= 0


def count_classes(labels: np.ndarray, num_classes: int | None = None) -> int:
    """num_classes, or where None the highest label + 1; refuses labels beyond it."""
    highest = int(labels.max())
    if num_classes is None:
        return highest + 1
    if highest >= num_classes:
        raise ValueError(
            f"Labels must be below num_classes. Received num_classes={num_classes} and a label "
            f"{highest}: pass num_classes={highest + 1} or more."
        )
    return num_classes


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
