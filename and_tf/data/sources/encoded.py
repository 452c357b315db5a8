"""Image files, or encoded images in memory, decoded on demand."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from and_tf.data.boxes import box_shapes
from and_tf.data.decode import header_shape, load_square, reason
from and_tf.data.decoder_warnings import naming_image
from and_tf.data.parts import in_parts
from and_tf.data.reading import read_file
from and_tf.data.sources.changed import check_unchanged
from and_tf.data.sources.items import holds_paths, items_at, joined_items
from and_tf.data.sources.loading import (
    Originals,
    joined_members,
    load_crops,
    members_at,
)
from and_tf.data.workers import decoding_threads, in_threads
from and_tf.errors import Argument, BrokenImage

if TYPE_CHECKING:
    from and_tf.data.settings import AugmentationSettings


@dataclass(eq=False, repr=False)
class EncodedSource:
    """Image files, or encoded images in memory, decoded on demand.

    Args:
        items: path, or encoded bytes, of each image. They may be made on demand, as by `FilePaths`
            and `FileParts`, so that no list of a million is needed.
        name: for messages.
        labels: (N,) int32, -1 where an image has no label; or None.
        class_names: name of each label; or None.
        names: name of each image, for folders the relative path; or None.
        sizes: (N,) int64, encoded size of each image in bytes; required if items are paths.
        identity: beginning of the hashed text of the fingerprint, for images without names.
        checksums: (N,) uint32, CRC-32 of each encoded image, if known; or None.
        mtimes: (N,) int64, when each file was last written, in nanoseconds, or `READ_ELSEWHERE`; or
            None.
        shapes: (N, 2) int32, height and width in pixels, if known; or None.
        broken: name of each image that was left out, and why it cannot be read.
        boxes: (N, 4) float64, the part of each upright image that is used: ymin, xmin, ymax, xmax
            as fractions of it; None for whole images.
        eval_crop: fraction of the shorter side that `load` returns; training crops ignore it.
        hard_links: number of further names of the same files in a folder, which were left out.
    """

    items: Sequence[str] | Sequence[bytes]
    name: str
    labels: np.ndarray | None = None
    class_names: list[str] | None = None
    names: list[str] | None = None
    sizes: np.ndarray = None  # type: ignore[assignment]
    identity: str = ""
    checksums: np.ndarray | None = None
    mtimes: np.ndarray | None = None
    shapes: np.ndarray | None = None
    broken: tuple[tuple[str, str], ...] = ()
    boxes: np.ndarray | None = None
    eval_crop: float = 1.0
    hard_links: int = 0

    def __post_init__(self):
        if self.sizes is None:
            self.sizes = np.fromiter(map(len, self.items), np.int64, len(self.items))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of names, encoded sizes and, if there are any, boxes, in order."""
        digest = hashlib.sha256(f"{self.identity}\n{len(self)}\n".encode())
        digest.update("\0".join(self.names or []).encode(errors="surrogateescape"))
        digest.update(self.sizes.astype("<i8").tobytes())
        if self.boxes is not None:
            digest.update(self.boxes.astype("<f8").tobytes())
        return digest.hexdigest()

    @cached_property
    def image_shapes(self) -> np.ndarray:
        """(N, 2) int32, height and width of each image in pixels, or of its box."""
        shapes = self.header_shapes()
        return shapes if self.boxes is None else box_shapes(self.boxes, shapes)

    def header_shapes(self) -> np.ndarray:
        """(N, 2) int32, height and width of each whole image in pixels; 0 where it is broken."""
        if self.shapes is not None:
            return self.shapes
        shapes = np.zeros((len(self), 2), np.int32)

        def read(rows: np.ndarray) -> None:
            for row in rows.tolist():
                shapes[row] = _header_shape(self.items[row])

        deque(in_parts(read, np.arange(len(self))), maxlen=0)
        return shapes

    def load(self, indices: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Images at `indices` (B,), as (B, size, size, 3) uint8, decoded by `load_square`.

        Raises:
            BrokenImage: if an image cannot be decoded; names it.
            Unreachable: if the disk that holds it stays away for a minute.
        """
        indices = np.asarray(indices, dtype=np.int64)
        images = np.empty((len(indices), size, size, 3), np.uint8)

        def fill(row: int) -> None:
            index = indices[row]
            with self.naming(index):
                content, box = self.content(index), self.box(index)
                images[row] = load_square(content, size, box, self.eval_crop)

        in_threads(fill, len(indices), self._most_threads())
        return images

    def _most_threads(self) -> int | None:
        """How many threads can be kept busy; None for files, which may have to be waited for."""
        if holds_paths(self.items) or not len(self):
            return None
        return decoding_threads(self.sizes.mean())

    def load_crops(
        self,
        indices: np.ndarray,
        noise: np.ndarray,
        augmentation: AugmentationSettings,
        originals: Originals | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images of a training step, cut from their originals; see `and_tf.data.crops`.

        Args:
            indices: (B,) int.
            noise: (B, VALUES_PER_IMAGE) float32, or (B, V, VALUES_PER_IMAGE) for V views of each.
            augmentation: `image_size` (S) and `crop_min_area` are used.
            originals: keeps decoded images for other steps; the result does not depend on it.

        Returns:
            images: (B, S, S, 3) uint8, or (B, V, S, S, 3).
            noise: what to pass to `augment` with them: as given, except that the crop of an image
                that is one already is the whole image.

        Raises:
            BrokenImage: if an image cannot be decoded; names it.
            ImageChanged: if its file has changed since the source was opened.
            Unreachable: if the disk that holds it stays away for a minute.
        """
        contents = Contents(self, indices)
        boxes = None if self.boxes is None else self.boxes[np.asarray(indices)]
        return load_crops(contents, noise, augmentation, indices, self.naming, originals, boxes)

    def box(self, index: int) -> np.ndarray | None:
        """(4,) float64, the box of an image; None if the whole image is used."""
        return None if self.boxes is None else self.boxes[index]

    def content(self, index: int, is_trained_on: bool = False) -> bytes:
        """The encoded bytes of an image, read from its file again at each call.

        Args:
            index: of the image.
            is_trained_on: whether an image that has changed is refused, because what a run learns
                would depend on when it changed; else a warning is logged.

        Raises:
            ImageChanged, Unreachable, NotFound: see `load_crops`.
        """
        item = self.items[index]
        if isinstance(item, bytes):
            return item
        content, state = read_file(item)
        check_unchanged(self, index, content, state.st_mtime_ns, is_trained_on)
        return content

    def take(self, indices: Sequence[int] | np.ndarray | slice) -> EncodedSource:
        """A source of the images at `indices`, in that order."""
        rows = np.arange(len(self))[indices]
        return replace(self, items=items_at(self.items, rows), **members_at(self, rows))

    def join(self, other: EncodedSource) -> EncodedSource:
        """The images of this source, then those of another split of the same data set."""
        items = joined_items(self.items, other.items)
        return replace(self, items=items, **joined_members(self, other))

    @contextlib.contextmanager
    def naming(self, index: int) -> Iterator[None]:
        """A context in which errors and warnings about an image name it."""
        called = f"Image {index} of {self.name}"
        path = os.path.abspath(str(self.items[index])) if holds_paths(self.items) else ""
        try:
            with naming_image(path or called):
                yield
        except BrokenImage as error:
            decoding = f"cannot decode {path} ({reason(error.__cause__ or error)})"
            raise BrokenImage(
                f"{called} is broken: {decoding if path else error}: ",
                "repair or remove it, or pass ",
                Argument("skip_broken", True),
                ".",
            ) from error


class Contents(Sequence[bytes]):
    """The encoded bytes of the images of a training step, each read on demand."""

    def __init__(self, source: EncodedSource, indices: np.ndarray):
        self.source, self.indices = source, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, row):
        return self.source.content(self.indices[row], is_trained_on=True)


def _header_shape(item: str | bytes) -> tuple[int, int]:
    try:
        return header_shape(item)
    except MemoryError:
        raise
    except Exception:  # a broken image is named when it is loaded
        return 0, 0
