"""A collection of images with their embeddings: the input of every analysis."""

import dataclasses

import numpy as np

from and_tf.collection.files import Files
from and_tf.collection.origin import Origin
from and_tf.data.sources.source import Source
from and_tf.search.nearest import nearest_others


@dataclasses.dataclass(frozen=True, eq=False)
class Collection:
    """Images, their embeddings and their nearest neighbours.

    Attributes:
        source: N images, with `names`, and `labels` and `class_names` if they have any.
        embeddings: (N, D) float32, rows of unit length.
        neighbours: (N, m) int32, the nearest other images of each, nearest first.
        similarity: (N, m) float32, their cosines, -1..1.
        origin: which encoder made the embeddings, if it is known.
        files: what an update needs to know about the images' files.
    """

    source: Source
    embeddings: np.ndarray
    neighbours: np.ndarray
    similarity: np.ndarray
    origin: Origin | None = None
    files: Files | None = None

    def __len__(self) -> int:
        return len(self.source)

    @property
    def names(self) -> list[str]:
        """N paths, relative to the folder."""
        return self.source.names or []

    @property
    def broken(self) -> tuple[tuple[str, str], ...]:
        """Path of each image that was left out, relative to the folder, and why."""
        return getattr(self.source, "broken", ())


def search_neighbours(embeddings: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (N, count) int32 and cosines (N, count) float32 of the nearest other images."""
    if not count:  # a single image
        return np.empty((len(embeddings), 0), np.int32), np.empty((len(embeddings), 0), np.float32)
    indices, similarity = nearest_others(embeddings, count, progress=True)
    return indices, np.clip(similarity, -1, 1)
