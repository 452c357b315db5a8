"""Decoded images kept in memory; results do not depend on how many fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from and_tf.data.crops import for_each_view, is_whole
from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.progress import progress_bar
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.arrays import ArraySource
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.loading import Originals
from and_tf.data.subsets import batches


@dataclass(eq=False, repr=False)
class CachedSource:
    """A source whose images at one size are held in memory: the same images, loaded faster.

    Args:
        source: whose images are kept.
        images: (N, S, S, 3) uint8, what `source.load` returns at the size S; None if only
            originals are kept.
        is_whole: whether all training crops are cut from these images; see `and_tf.data.crops`.
        originals: decoded images that the other crops are cut from, added as they are used.
    """

    source: ArraySource | EncodedSource
    images: np.ndarray | None
    is_whole: bool
    originals: Originals

    def __len__(self) -> int:
        return len(self.source)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def labels(self) -> np.ndarray | None:
        return self.source.labels

    @property
    def class_names(self) -> list[str] | None:
        return self.source.class_names

    @property
    def names(self) -> list[str] | None:
        return self.source.names

    @property
    def fingerprint(self) -> str:
        return self.source.fingerprint

    def load(self, indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Images at `indices` (B,), as (B, size, size, 3) uint8."""
        if self.images is not None and size == self.images.shape[1]:
            return self.images[np.asarray(indices, dtype=np.int64)]
        return self.source.load(indices, size)

    def load_crops(
        self, indices: np.ndarray, noise: np.ndarray, augmentation: AugmentationSettings
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images of a training step; see `EncodedSource.load_crops`."""
        is_kept = self.images is not None and augmentation.image_size == self.images.shape[1]
        if self.is_whole and is_kept:
            return for_each_view(self.load(indices, augmentation.image_size), noise), noise
        if isinstance(self.source, ArraySource):
            return self.source.load_crops(indices, noise, augmentation)
        return self.source.load_crops(indices, noise, augmentation, self.originals)

    def take(self, indices: Sequence[int] | np.ndarray | slice) -> CachedSource:
        """A source of the images at `indices`, in that order."""
        rows = np.arange(len(self))[indices]
        source = self.source.take(rows)
        images = None if self.images is None else self.images[rows]
        return replace(self, source=source, images=images, originals=Originals(0))


def cached(
    source: ArraySource | EncodedSource | CachedSource,
    size: int,
    budget_bytes: int = 4 << 30,
    sharing: Sharing = ALONE,
) -> ArraySource | EncodedSource | CachedSource:
    """Decodes all images once at one size if they fit the budget, else returns the source itself.

    Args:
        source: the images.
        size: S, side in pixels of the images that are evaluated.
        budget_bytes: the most memory that decoded images may take: those of size S, and with what
            remains the decoded originals of photos, from which training crops are cut.
        sharing: the processes that read the source together. If there are several, none of them
            decodes all image files; each keeps the originals that it has used.

    Returns:
        A source that loads exactly the same images, with the same fingerprint.
    """
    needed = len(source) * size * size * 3
    if sharing.size > 1 and isinstance(source, EncodedSource):
        return CachedSource(source, None, False, Originals(budget_bytes))
    if isinstance(source, CachedSource) or needed > budget_bytes:
        return source
    if isinstance(source, ArraySource) and source.images.shape[1:3] == (size, size):
        return source
    images = np.empty((len(source), size, size, 3), np.uint8)
    with progress_bar(len(source), "decoding images") as progress:
        for batch in batches(np.arange(len(source)), size):
            images[batch] = source.load(batch, size)
            progress.update(len(batch))
    return CachedSource(source, images, _is_whole(source, size), Originals(budget_bytes - needed))


def whole_images(
    source: ArraySource | EncodedSource | CachedSource, size: int
) -> np.ndarray | None:
    """(N, size, size, 3) uint8 that all training crops are cut from; None if not in memory."""
    if isinstance(source, EncodedSource) or source.images is None:
        return None
    if source.images.shape[1:3] == (size, size):
        return source.images if isinstance(source, ArraySource) or source.is_whole else None
    return None


def _is_whole(source: ArraySource | EncodedSource, size: int) -> bool:
    if source.eval_crop != 1.0:
        return False
    if isinstance(source, ArraySource):
        return is_whole(source.images.shape[1], source.images.shape[2], size)
    return all(is_whole(height, width, size) for height, width in source.image_shapes.tolist())
