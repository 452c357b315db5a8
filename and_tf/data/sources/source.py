"""Sources of images with random access: image i is image i for ever.

An `ArraySource` holds pixels, an `EncodedSource` files or encoded bytes that it decodes on demand.
Both have the same members, so that no caller asks which of the two it has. `opening` opens data
sets by name; `array_source` wraps arrays.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from and_tf.data.decode import load_square, square
from and_tf.data.workers import NUM_THREADS, thread_pool


@dataclass(eq=False, repr=False)
class ArraySource:
    """Images in memory.

    Args:
        images: (N, H, W, 3) uint8.
        name: for messages.
        labels: (N,) int32, -1 where an image has no label; or None.
        class_names: name of each label; or None.
        names: name of each image, for folders the relative path; or None.
        given_fingerprint: what `fingerprint` gives instead of a hash of the pixels.
    """

    images: np.ndarray
    name: str
    labels: np.ndarray | None = None
    class_names: list[str] | None = None
    names: list[str] | None = None
    given_fingerprint: str | None = None

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
        images = self.images[np.asarray(indices, dtype=np.int64)]  # (B, H, W, 3)
        if images.shape[1:3] == (size, size):
            return images
        resized = np.empty((len(images), size, size, 3), np.uint8)
        for row, image in enumerate(images):
            resized[row] = square(Image.fromarray(image), size)
        return resized

    def take(self, indices: Sequence[int] | np.ndarray | slice) -> "ArraySource":
        """The source of the images at `indices`, in their order."""
        rows = np.arange(len(self))[indices]
        given = self.given_fingerprint
        if given:
            given = hashlib.sha256(given.encode() + rows.astype("<i8").tobytes()).hexdigest()
        return replace(
            self, images=self.images[rows], given_fingerprint=given, **_taken_notes(self, rows)
        )


@dataclass(eq=False, repr=False)
class EncodedSource:
    """Image files, or encoded images in memory, decoded on demand.

    Args:
        items: path, or encoded bytes, of each image.
        name: for messages.
        labels: (N,) int32, -1 where an image has no label; or None.
        class_names: name of each label; or None.
        names: name of each image, for folders the relative path; or None.
        sizes: (N,) int64, encoded size of each image in bytes; needed where items are paths.
        identity: what the fingerprint begins with, where images have no names.
    """

    items: list[str] | list[bytes]
    name: str
    labels: np.ndarray | None = None
    class_names: list[str] | None = None
    names: list[str] | None = None
    sizes: np.ndarray | None = None
    identity: str = ""

    def __post_init__(self):
        if self.sizes is None:
            self.sizes = np.array([len(item) for item in self.items], np.int64)

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of the names and the encoded sizes, in order."""
        digest = hashlib.sha256(f"{self.identity}\n{len(self)}\n".encode())
        digest.update("\0".join(self.names or []).encode(errors="surrogateescape"))
        digest.update(self.sizes.astype("<i8").tobytes())
        return digest.hexdigest()

    def load(self, indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Images at `indices` (B,), as (B, size, size, 3) uint8.

        Raises:
            ValueError: an image cannot be decoded; names it.
        """
        indices = np.asarray(indices, dtype=np.int64)
        images = np.empty((len(indices), size, size, 3), np.uint8)

        def fill(rows: np.ndarray) -> None:
            for row in rows:
                images[row] = self._decode(indices[row], size)

        chunks = np.array_split(np.arange(len(indices)), 4 * NUM_THREADS)
        list(thread_pool().map(fill, [rows for rows in chunks if len(rows)]))
        return images

    def take(self, indices: Sequence[int] | np.ndarray | slice) -> "EncodedSource":
        """The source of the images at `indices`, in their order."""
        rows = np.arange(len(self))[indices]
        items = [self.items[row] for row in rows]
        return replace(self, items=items, sizes=self.sizes[rows], **_taken_notes(self, rows))

    def _decode(self, index: int, size: int) -> np.ndarray:
        try:
            return load_square(self.items[index], size)
        except ValueError as error:
            raise ValueError(
                f"Image {index} of {self.name} is broken: {error}: "
                "repair or remove it, or pass --skip_broken."
            ) from error


Source = ArraySource | EncodedSource


def array_source(
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray | None = None,
    name: str = "arrays",
    class_names: Sequence[str] | None = None,
) -> ArraySource:
    """Wraps arrays as a source.

    Args:
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3) uint8; grey becomes RGB.
        labels: (N,) or (N, 1) integers from 0 on, -1 for an image without a label; or None.
        name: for messages.
        class_names: name of each label; or None.

    Raises:
        ValueError: a wrong dtype, shape or label.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(
            f"Images must be uint8 in 0..255. Received dtype {images.dtype} in {name}: convert "
            "them, from 0..1 with (images * 255).round().astype('uint8')."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            "Images must have the shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), with no side 0. "
            f"Received shape {images.shape} in {name}."
        )
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    class_names = None if class_names is None else list(class_names)
    if labels is not None:
        labels = _checked_labels(labels, len(images), class_names, name)
    return ArraySource(images, name, labels, class_names)


def _checked_labels(
    labels: Sequence[int] | np.ndarray, num_images: int, class_names: list[str] | None, name: str
) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape == (num_images, 1):
        labels = labels[:, 0]
    if labels.shape != (num_images,):
        raise ValueError(
            f"Labels must be one integer for each of the {num_images} images of {name}. "
            f"Received shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"Labels must be integers. Received dtype {labels.dtype} in {name}: convert them, "
            "one-hot rows with labels.argmax(axis=1)."
        )
    upper = len(class_names) if class_names else np.iinfo(np.int32).max
    if labels.min() < -1 or labels.max() >= upper:
        raise ValueError(
            f"Labels must lie in -1 (none) .. {upper - 1}. Received {labels.min()} .. "
            f"{labels.max()} in {name}."
        )
    return labels.astype(np.int32)


def _taken_notes(source: Source, rows: np.ndarray) -> dict:
    return {
        "labels": None if source.labels is None else source.labels[rows],
        "names": None if source.names is None else [source.names[row] for row in rows],
    }
