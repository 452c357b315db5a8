"""Sentences that several sections of the page share."""

import numpy as np

from and_tf.evaluation.label_free import NEIGHBOURS
from and_tf.report.sample import Sample


def describe_nearest(images: int | None) -> str:
    """How many nearest images the label-free metrics use, given the number of training images."""
    if images is None or images > NEIGHBOURS:
        return f"{NEIGHBOURS} nearest"
    return f"{images - 1} nearest" if images > 2 else "nearest"


def describe_no_failure(queries: Sample | None, predicted: np.ndarray | None) -> str:
    """A sentence if kNN classified every labelled held-out image correctly, or an empty string.

    Args:
        queries: Q held-out images, or None.
        predicted: (Q,) int, their classes by kNN; None without labels.
    """
    if predicted is None or queries is None:
        return ""
    if (predicted != queries.labels)[queries.labels >= 0].any():
        return ""
    return "No held-out image was named wrongly."
