"""What the classifiers on features share: which rows count, how many classes, and the checks."""

import numpy as np


def labelled(values: np.ndarray, labels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have a label, and their labels; the arrays themselves where all have one.

    Args:
        values: (N, D) float.
        labels: (N,) int, -1 where unknown.
        name: of the values, for the errors.

    Raises:
        ValueError: shapes that do not fit, labels that are no integers from -1, no label at all.
    """
    values, labels = np.asarray(values), np.asarray(labels)
    if values.ndim != 2 or labels.shape != values.shape[:1]:
        raise ValueError(
            f"{name} must be (N, D) and labels (N,). "
            f"Received {name} of shape {values.shape} and labels of shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < -1:
        raise ValueError(
            "labels must be integers from 0, or -1 where unknown. "
            f"Received {labels.dtype} labels from {labels.min(initial=0)} on."
        )
    is_labelled = labels >= 0
    if not is_labelled.any():
        raise ValueError(
            f"None of the {len(labels)} {name} has a label (all are -1): a classifier needs a "
            "labelled set; without labels use the label-free figures."
        )
    if is_labelled.all():
        return values, labels
    return values[is_labelled], labels[is_labelled]


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


def check_finite(values: np.ndarray, name: str) -> None:
    """Raises a ValueError with the number of rows (N, D) that hold NaN or infinite values."""
    is_broken = ~np.isfinite(values).all(axis=1)
    if is_broken.any():
        raise ValueError(
            f"{int(is_broken.sum())} of {len(values)} {name} hold NaN or infinite values, first "
            f"index {int(is_broken.argmax())}: the encoder that made them has diverged; "
            "take an earlier checkpoint or lower the learning rate."
        )
