"""Checks that classifiers on features share: which rows have a label, and how many classes."""

import numpy as np

from and_tf.data.subsets import has_labels
from and_tf.errors import Argument, UserError


def is_labelled(values: np.ndarray, labels: np.ndarray, name: str) -> np.ndarray:
    """Which rows have a label.

    Args:
        values: (N, D) float.
        labels: (N,) int, -1 where unknown.
        name: of the values, for error messages.

    Returns:
        (N,) bool.

    Raises:
        UserError: if shapes do not fit, labels are not integers of at least -1, or there is no
            label at all.
    """
    shape, labels = np.shape(values), np.asarray(labels)
    if len(shape) != 2 or labels.shape != shape[:1]:
        raise UserError(
            f"{name} must be (N, D) and labels (N,). "
            f"Received {name} of shape {shape} and labels of shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < -1:
        raise UserError(
            "labels must be integers from 0, or -1 where unknown. "
            f"Received {labels.dtype} labels from {labels.min(initial=0)} on."
        )
    if not has_labels(labels):
        raise UserError(
            f"None of the {len(labels)} {name} has a label (all are -1): a classifier needs a "
            "labelled set; without labels use the label-free metrics."
        )
    return labels >= 0


def count_classes(labels: np.ndarray, num_classes: int | None = None) -> int:
    """Returns num_classes, or the highest label + 1 if that is None.

    Raises:
        UserError: if a label is not below num_classes.
    """
    highest = int(labels.max())
    if num_classes is None:
        return highest + 1
    if highest >= num_classes:
        raise UserError(
            Argument("num_classes", num_classes),
            f" must exceed the labels, and there is a label {highest}: pass {highest + 1} or more.",
        )
    return num_classes
