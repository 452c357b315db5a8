"""Parts of a data set: evenly spaced images, and whether any has a label."""

from collections.abc import Iterator

import numpy as np

BATCH_BYTES = 32 << 20  # of decoded images


def evenly_spaced(count: int, at_most: int) -> np.ndarray:
    """Indices of up to `at_most` of `count` images, evenly spaced, the first and last among them.

    Returns:
        (min(count, at_most),) int64, rising.
    """
    return np.linspace(0, count - 1, min(count, at_most)).round().astype(np.int64)


def has_labels(labels: np.ndarray | None) -> bool:
    """Whether any image has a label.

    Args:
        labels: (N,) int, -1 where an image has none; or None.
    """
    return labels is not None and bool((np.asarray(labels) >= 0).any())


def batches(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Parts of the indices, each of at most `BATCH_BYTES` of images of a side of `size` pixels."""
    step = max(1, BATCH_BYTES // (size * size * 3))
    for start in range(0, len(indices), step):
        yield indices[start : start + step]
