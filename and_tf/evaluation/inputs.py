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
