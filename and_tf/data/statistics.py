"""Mean and standard deviation of each channel of a source."""

import numpy as np

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.partition import share
from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import Source
from and_tf.data.subsets import batches, evenly_spaced


def channel_statistics(
    source: Source, size: int, max_images: int = 50_000, sharing: Sharing = ALONE
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all pixels of all images.

    Args:
        source: the images.
        size: side in pixels at which they are measured.
        max_images: the most images to measure; of a larger source they are evenly spaced.
        sharing: the processes that share the work: each loads some of the images, and all get
            exactly the result of a single process.

    Returns:
        mean, std: (3,) float64 in 0..255; std is at least 1, so that it can be divided by.
    """
    chosen = evenly_spaced(len(source), max_images)
    num_images = len(chosen)
    own = chosen[slice(*share(num_images, sharing.number, sharing.size))]
    total = np.zeros(3, np.uint64)
    total_of_squares = np.zeros(3, np.uint64)
    with progress_bar(len(own), "channel statistics") as progress:
        for batch in batches(own, size):
            pixels = source.load(batch, size)  # (B, size, size, 3)
            total += pixels.sum(axis=(0, 1, 2), dtype=np.uint64)
            squares = np.square(pixels, dtype=np.uint32)
            total_of_squares += squares.sum(axis=(0, 1, 2), dtype=np.uint64)
            progress.update(len(batch))
    # Integer sums, which do not depend on how the images are split.
    sums = np.stack([total, total_of_squares]).view(np.int64)
    total, total_of_squares = sharing.total(sums).view(np.uint64)
    count = num_images * size * size
    mean = total / count
    variance = np.maximum(total_of_squares / count - mean**2, 0.0)
    return mean, np.maximum(np.sqrt(variance), 1.0)
