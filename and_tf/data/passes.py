"""Passes over a whole source: decoding it once and for all, measuring its channels."""

from collections.abc import Iterator

import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import ArraySource, Source


def cached(source: Source, size: int, budget_bytes: int = 4 << 30) -> Source:
    """Decodes all images once, if they fit the budget; else gives the source back.

    Args:
        source: what to decode.
        size: side of the images in pixels.
        budget_bytes: the most memory that the decoded images may take.

    Returns:
        A source that loads the very same images at `size`, with the same fingerprint.
    """
    if isinstance(source, ArraySource) and source.images.shape[1:3] == (size, size):
        return source
    if len(source) * size * size * 3 > budget_bytes:
        return source
    images = np.empty((len(source), size, size, 3), np.uint8)
    with progress_bar(len(source), "decoding images") as progress:
        for batch in _batches(np.arange(len(source)), size):
            images[batch] = source.load(batch, size)
            progress.update(len(batch))
    notes = (source.name, source.labels, source.class_names, source.names)
    return ArraySource(images, *notes, given_fingerprint=source.fingerprint)


def channel_statistics(
    source: Source, size: int, max_images: int = 50_000
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all pixels of all images.

    Args:
        source: the images.
        size: side in pixels at which they are measured.
        max_images: of more images than this, as many are measured, evenly spaced.

    Returns:
        mean, std: (3,) float64 in 0..255; std is at least 1, so that it can be divided by.
    """
    num_images = min(len(source), max_images)
    chosen = np.linspace(0, len(source) - 1, num_images).round().astype(np.int64)
    total = np.zeros(3, np.uint64)
    total_of_squares = np.zeros(3, np.uint64)
    with progress_bar(num_images, "channel statistics") as progress:
        for batch in _batches(chosen, size):
            pixels = source.load(batch, size)  # (B, size, size, 3)
            total += pixels.sum(axis=(0, 1, 2), dtype=np.uint64)
            squares = np.square(pixels, dtype=np.uint32)
            total_of_squares += squares.sum(axis=(0, 1, 2), dtype=np.uint64)
            progress.update(len(batch))
    count = num_images * size * size
    mean = total / count
    variance = np.maximum(total_of_squares / count - mean**2, 0.0)
    return mean, np.maximum(np.sqrt(variance), 1.0)


def _batches(indices: np.ndarray, size: int, batch_bytes: int = 32 << 20) -> Iterator[np.ndarray]:
    step = max(1, batch_bytes // (size * size * 3))
    for start in range(0, len(indices), step):
        yield indices[start : start + step]
