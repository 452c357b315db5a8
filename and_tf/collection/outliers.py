"""Images that are unlike all others in the collection."""

import dataclasses

import numpy as np

from and_tf.collection.collection import Collection

IMAGES_PER_NEIGHBOUR = 40  # k grows with the collection, so that a few alike do not hide each other
LEAST, MOST = 5, 50  # k
FAR = 2.5  # robust standard deviations of the log of the scores


@dataclasses.dataclass(frozen=True, eq=False)
class Outliers:
    """How far each image lies from the others.

    Attributes:
        scores: (N,) float32, the distance to the k-th neighbour, divided by its median: about 1
            for most.
        is_outlier: (N,) bool.
        k: which neighbour; 0 for a single image.
    """

    scores: np.ndarray
    is_outlier: np.ndarray
    k: int


def outlier_k(num_images: int) -> int:
    """Which neighbour counts: one for every 40 images, 5 to 50, and no more than there are."""
    k = int(np.clip(num_images // IMAGES_PER_NEIGHBOUR, LEAST, MOST))
    return max(min(k, num_images - 1), 0)


def find_outliers(collection: Collection) -> Outliers:
    """Scores are the distance (1 - cosine) to the k-th neighbour, divided by its median.

    An outlier's score lies more than 2.5 standard deviations above the median on a log scale; the
    standard deviation is that of a normal distribution with the same median absolute deviation.
    """
    count = len(collection)
    k = min(outlier_k(count), collection.similarity.shape[1])
    if not k:
        return Outliers(np.ones(count, np.float32), np.zeros(count, bool), 0)
    distance = np.maximum(1 - collection.similarity[:, k - 1].astype(np.float64), 1e-7)  # (N,)
    scores = distance / np.median(distance)
    logs = np.log(scores)
    spread = 1.4826 * np.median(np.abs(logs))  # the median of the logs is 0 up to rounding
    return Outliers(scores.astype(np.float32), logs > FAR * max(spread, 1e-3), k)
