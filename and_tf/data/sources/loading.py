"""What sources have in common: loading a batch in threads, and selecting and joining members."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from and_tf.data.augmentation.crop_box import with_whole_crop
from and_tf.data.crops import training_image
from and_tf.data.workers import in_threads

if TYPE_CHECKING:
    from and_tf.data.settings import AugmentationSettings


class Originals:
    """Decoded images, from which crops are cut, by index; kept up to a budget.

    Args:
        budget_bytes: for pixels.
    """

    def __init__(self, budget_bytes: int):
        self.bytes_left = budget_bytes
        self.images: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, index: int) -> np.ndarray | None:
        """(H, W, 3) uint8; None if the image is not kept."""
        return self.images.get(int(index))

    def offer(self, index: int, image: Image.Image) -> None:
        """Keeps an image if there is room for it."""
        needed = 3 * image.width * image.height
        with self._lock:
            if int(index) in self.images or needed > self.bytes_left:
                return
            self.bytes_left -= needed
            self.images[int(index)] = np.asarray(image)


def load_crops(
    items: Sequence[str | bytes | np.ndarray],
    noise: np.ndarray,
    augmentation: AugmentationSettings,
    indices: Sequence[int] | np.ndarray | None = None,
    naming: Callable[[int], contextlib.AbstractContextManager] = contextlib.nullcontext,
    originals: Originals | None = None,
    boxes: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The images of a training step; other arguments and result as in `EncodedSource.load_crops`.

    Args:
        items: path, encoded bytes, or pixels (H, W, 3) uint8 of each image of the step.
        naming: context for the work on one index, which names it in errors.
        boxes: (B, 4) float, the parts of the images that crops are cut from; None for whole images.
    """
    size = augmentation.image_size
    places = np.arange(len(items)) if indices is None else np.asarray(indices)
    images = np.empty((*noise.shape[:-1], size, size, 3), np.uint8)
    is_cropped = np.zeros(len(items), bool)

    def fill(row: int) -> None:
        held = None if originals is None else originals.get(places[row])
        with naming(places[row]):
            if held is not None:
                found = training_image(held, noise[row], augmentation)
            else:
                box = None if boxes is None else boxes[row]
                found = training_image(items[row], noise[row], augmentation, box)
        images[row], is_cropped[row] = found.pixels, found.is_cropped
        if originals is not None and held is None and found.original is not None:
            originals.offer(places[row], found.original)

    in_threads(fill, len(items))
    is_cropped = is_cropped.reshape(-1, *(1,) * (noise.ndim - 1))
    return images, np.where(is_cropped, with_whole_crop(noise), noise)


# Members with one value per image, besides the images themselves and their names.
PER_IMAGE = ("labels", "sizes", "checksums", "mtimes", "shapes", "boxes")


def members_at(source: Any, rows: np.ndarray) -> dict[str, Any]:
    """The members of a source at some rows, except for the images."""
    members = {name: getattr(source, name) for name in PER_IMAGE if hasattr(source, name)}
    kept = {name: None if value is None else value[rows] for name, value in members.items()}
    names = None if source.names is None else [source.names[row] for row in rows.tolist()]
    return {**kept, "names": names}


def joined_members(first: Any, second: Any) -> dict[str, Any]:
    """The joined members of two sources of the same kind, except for the images."""
    members: dict[str, Any] = {}
    for name in PER_IMAGE:
        if hasattr(first, name):
            parts = getattr(first, name), getattr(second, name)
            members[name] = None if any(x is None for x in parts) else np.concatenate(parts)
    if members["labels"] is None:
        members["class_names"] = None
    members["names"] = None if first.names is None else first.names + second.names
    return members
