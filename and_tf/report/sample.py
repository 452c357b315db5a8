"""The images that a report uses, with their embeddings by the reported checkpoint."""

import dataclasses
import functools

import keras
import numpy as np

from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced, has_labels
from and_tf.evaluation import extract, weighted_knn
from and_tf.search import nearest as search


@dataclasses.dataclass(frozen=True)
class Sample:
    """Evenly spaced images of a source, with their embeddings.

    Attributes:
        whole: the source.
        indices: (n,) int, which of its images, ascending.
        embeddings: (n, D) float32, of the clean images.
        present: how many images of the source are still there; None if all are.
    """

    whole: Source
    indices: np.ndarray
    embeddings: np.ndarray
    present: int | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """(n,) int, -1 for images without a label."""
        if self.whole.labels is None:
            return np.full(len(self), -1)
        return self.whole.labels[self.indices].astype(int)

    @property
    def is_labelled(self) -> bool:
        return has_labels(self.labels)

    def load(self, rows: np.ndarray, side: int) -> np.ndarray:
        """The images of some rows of the sample, (len(rows), side, side, 3) uint8."""
        return self.whole.load(self.indices[rows], side)

    def take(self, rows: np.ndarray) -> "Sample":
        """The sample of some of its rows, (m,) int."""
        return dataclasses.replace(
            self, indices=self.indices[rows], embeddings=self.embeddings[rows]
        )

    def embedded_by(self, encoder: keras.Model, size: int) -> "Sample":
        """The same images with the embeddings of another encoder for images of `size` pixels."""
        images = self.whole.take(self.indices)
        embeddings = extract(encoder, images, size, progress=False)
        return dataclasses.replace(self, embeddings=embeddings)

    def describe(self, kind: str) -> str:
        """Its part of the source, as `an evenly spread 5,000 of the 50,000 KIND images`."""
        if len(self) == len(self.whole):
            return f"all {len(self):,} {kind} images"
        if self.present is None:
            return f"an evenly spread {len(self):,} of the {len(self.whole):,} {kind} images"
        left = f"the {self.present:,} {kind} images that are left of {len(self.whole):,}"
        return left if len(self) == self.present else f"an evenly spread {len(self):,} of {left}"

    def image_name(self, row: int | np.integer) -> str:
        """A file's relative path, or else the image's number in the source."""
        index = int(self.indices[row])
        if self.whole.names is not None:
            return str(self.whole.names[index])
        return f"image {index:,}"

    def class_name(self, row: int | np.integer, classes: list[str]) -> str:
        """The name of an image's class, or an empty string."""
        label = int(self.labels[row])
        return classes[label] if label >= 0 else ""


def embed_sample(
    encoder: keras.Model,
    source: Source,
    size: int,
    at_most: int,
    present: np.ndarray | None = None,
) -> Sample:
    """Embeds all images of a source, or `at_most` evenly spaced ones of a larger source.

    Args:
        encoder: from (B, size, size, 3) to (B, D).
        source: at least one image.
        size: side of the encoder's input in pixels.
        at_most: at least 1.
        present: (m,) int, ascending, the images that are still there; None if all are.
    """
    if present is None:
        indices = evenly_spaced(len(source), at_most)
    else:
        indices = present[evenly_spaced(len(present), at_most)]
    part = source if len(indices) == len(source) else source.take(indices)
    count = None if present is None else len(present)
    return Sample(source, indices, extract(encoder, part, size), count)


def nearest_others(sample: Sample, rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other images of some images of a sample.

    Args:
        sample: n images.
        rows: (m,) int, of the sample.
        most: neighbours of each; fewer if the sample is smaller.

    Returns:
        Rows (m, k) int32 and cosines (m, k) float32, nearest first; k = min(most, n - 1).
    """
    return search.nearest_others(sample.embeddings, min(most, len(sample) - 1), rows)


def predictions(reference: Sample, queries: Sample, num_classes: int) -> np.ndarray:
    """(Q,) int, classes of the queries by weighted kNN as in the paper."""
    scores = weighted_knn(
        reference.embeddings, reference.labels, queries.embeddings, num_classes=num_classes
    )
    return scores.argmax(axis=1)


def names_of_classes(*sources: Source | None) -> list[str]:
    """The name of each label, or its number if it has no name; empty without labels."""
    labels = [s.labels for s in sources if s is not None and s.labels is not None]
    count = max((int(each.max()) + 1 for each in labels), default=0)
    named = [
        s.class_names for s in sources if s is not None and s.class_names and s.labels is not None
    ]
    given = named[0] if named else []
    return [str(given[i]) if i < len(given) else str(i) for i in range(max(count, len(given)))]
