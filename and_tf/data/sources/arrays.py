"""Images in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from and_tf.data.crops import for_each_view, is_whole
from and_tf.data.decode import centre, resized_side, square
from and_tf.data.sources.loading import joined_members, load_crops, members_at
from and_tf.errors import UserError

if TYPE_CHECKING:
    from and_tf.data.settings import AugmentationSettings


@dataclass(eq=False, repr=False)
class ArraySource:
    """Images in memory.

    Args:
        images: (N, H, W, 3) uint8.
        name: for messages.
        labels: (N,) int32, -1 where an image has no label; or None.
        class_names: name of each label; or None.
        names: name of each image, for folders the relative path; or None.
        given_fingerprint: what `fingerprint` returns instead of a hash of the pixels.
        class_ids: (C,) int64, what the file has in place of the labels 0..C - 1; or None.
        eval_crop: fraction of the shorter side that `load` returns; training crops ignore it.
    """

    images: np.ndarray
    name: str
    labels: np.ndarray | None = None
    class_names: list[str] | None = None
    names: list[str] | None = None
    given_fingerprint: str | None = None
    class_ids: np.ndarray | None = None
    eval_crop: float = 1.0

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of shape, dtype and pixels."""
        if self.given_fingerprint:
            return self.given_fingerprint
        digest = hashlib.sha256(f"{self.images.shape} {self.images.dtype}".encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()

    def load(self, indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Images at `indices` (B,), as (B, size, size, 3) uint8."""
        return centre(self._squares(indices, resized_side(size, self.eval_crop)), size)

    def _squares(self, indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        images = self.images[np.asarray(indices, dtype=np.int64)]  # (B, H, W, 3)
        if images.shape[1:3] == (size, size):
            return images
        resized = np.empty((len(images), size, size, 3), np.uint8)
        for row, image in enumerate(images):
            resized[row] = square(Image.fromarray(image), size)
        return resized

    def load_crops(
        self, indices: np.ndarray, noise: np.ndarray, augmentation: AugmentationSettings
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images of a training step; see `EncodedSource.load_crops`."""
        if is_whole(self.images.shape[1], self.images.shape[2], augmentation.image_size):
            return for_each_view(self._squares(indices, augmentation.image_size), noise), noise
        return load_crops([self.images[index] for index in indices], noise, augmentation)

    def take(self, indices: Sequence[int] | np.ndarray | slice) -> ArraySource:
        """A source of the images at `indices`, in that order."""
        rows = np.arange(len(self))[indices]
        given = self.given_fingerprint
        if given:
            given = hashlib.sha256(given.encode() + rows.astype("<i8").tobytes()).hexdigest()
        return replace(
            self, images=self.images[rows], given_fingerprint=given, **members_at(self, rows)
        )

    def join(self, other: ArraySource) -> ArraySource:
        """The images of this source, then those of another split of the same data set."""
        if self.images.shape[1:] != other.images.shape[1:]:
            raise UserError(
                "Splits can be joined only if their images have the same size. Received "
                f"{self.images.shape[1:]} in {self.name} and {other.images.shape[1:]} in "
                f"{other.name}."
            )
        images = np.concatenate([self.images, other.images])
        return replace(self, images=images, **joined_members(self, other))


def array_source(
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray | None = None,
    name: str = "arrays",
    class_names: Sequence[str] | None = None,
    class_ids: Sequence[int] | np.ndarray | None = None,
) -> ArraySource:
    """Wraps arrays as a source.

    Args:
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3) uint8; grey becomes RGB.
        labels: (N,) or (N, 1) integers from 0, -1 for an image without a label; or None.
        name: for messages.
        class_names: name of each class; or None.
        class_ids: (C,) ascending integers that occur as labels, if these are not 0..C - 1, such as
            `np.unique(train_labels)`: label i then stands for the i-th of them, which is also its
            default class name. Pass the same to the sources of all splits.

    Raises:
        UserError: if a dtype, shape or label is wrong.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise UserError(
            f"Images must be uint8 in 0..255. Received dtype {images.dtype} in {name}: convert "
            "them, from 0..1 with (images * 255).round().astype('uint8')."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UserError(
            "Images must have the shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), with no side 0. "
            f"Received shape {images.shape} in {name}."
        )
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    class_names = None if class_names is None else list(class_names)
    if labels is not None:
        labels = _checked_labels(labels, len(images), name)
    if class_ids is not None:
        class_ids = np.asarray(class_ids, np.int64)
        class_names = class_names or [str(number) for number in class_ids.tolist()]
        labels = None if labels is None else _places(labels, class_ids, name)
    if labels is not None:
        _check_range(labels, class_names, name)
        labels = labels.astype(np.int32)
    return ArraySource(images, name, labels, class_names, class_ids=class_ids)


MOST_CLASSES = 1_000_000  # without names: per-class metrics take memory for every class


def _places(labels: np.ndarray, class_ids: np.ndarray, name: str) -> np.ndarray:
    """(N,) int64: places of labels among the ids; -1 where there is no label."""
    unknown = np.setdiff1d(labels[labels != -1], class_ids)
    if len(unknown):
        raise UserError(f"{name} holds the label {unknown[0]}, which class_ids lacks: add it.")
    return np.where(labels == -1, -1, np.searchsorted(class_ids, labels))


def _check_range(labels: np.ndarray, class_names: list[str] | None, name: str) -> None:
    upper = len(class_names) if class_names else MOST_CLASSES
    if labels.min() < -1 or labels.max() >= upper:
        numbered = ": number classes from 0, or give array_source their numbers as class_ids."
        remedy = "." if class_names else numbered
        raise UserError(
            f"Labels must be in -1 (none) .. {upper - 1}. Received {labels.min()} .. "
            f"{labels.max()} in {name}{remedy}"
        )


def _checked_labels(labels: Sequence[int] | np.ndarray, num_images: int, name: str) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape == (num_images, 1):
        labels = labels[:, 0]
    if labels.shape != (num_images,):
        raise UserError(
            f"Labels must be one integer for each of the {num_images} images of {name}. "
            f"Received shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"Labels must be integers. Received dtype {labels.dtype} in {name}: convert them, "
            "one-hot rows with labels.argmax(axis=1)."
        )
    return labels
