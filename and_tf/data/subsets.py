"""Parts of a data set: evenly spaced images, those of each class, and whether any is labelled."""

from collections.abc import Iterator

import numpy as np

BATCH_BYTES = 32 << 20  # of decoded images


def evenly_spaced(count: int, at_most: int) -> np.ndarray:
    """Indices of up to `at_most` of `count` images, evenly spaced, including the first and last.

    Returns:
        (min(count, at_most),) int64, ascending.
    """
    return np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64)


def has_labels(labels: np.ndarray | None) -> bool:
    """Whether any image has a label.

    Args:
        labels: (N,) int, -1 where an image has none; or None.
    """
    return labels is not None and bool((np.asarray(labels) >= 0).any())


def shuffled_by_class(labels: np.ndarray, num_classes: int, seed: int) -> list[np.ndarray]:
    """Indices of the images of each class in random order.

    Args:
        labels: (N,) int, -1 where an image has none and is left out.
        num_classes: C, above the highest label.
        seed: of the order.

    Returns:
        C arrays of int64; empty for a class without images.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[labels[order] >= 0]
    by_class = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels[order], minlength=num_classes)
    return np.split(by_class, np.cumsum(counts)[:-1])


def batches(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Splits indices so that each part has at most `BATCH_BYTES` of images with side `size`."""
    step = max(1, BATCH_BYTES // (size * size * 3))
    for start in range(0, len(indices), step):
        yield indices[start : start + step]
