"""What the analyses need from the images' pixels, with each image decoded once."""

import functools
import hashlib
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from and_tf.collection.duplicates.coarse_search import SIDE
from and_tf.collection.duplicates.hashes import HASH_SIDE, perceptual_hash
from and_tf.collection.sharpness import sharpness
from and_tf.data.cache import CachedSource
from and_tf.data.decode import reduction_to, with_image
from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import ArraySource, EncodedSource, Source
from and_tf.data.workers import thread_pool

T = TypeVar("T")

ROWS_AT_ONCE = 256
CHECKSUM_TYPE = "U64"  # sha256 in hexadecimal digits
MEASURED_SIDE = 512  # pixels of the shorter side: larger images are measured at this size


class Pictures(NamedTuple):
    """Thumbnails and measurements of N images.

    Attributes:
        thumbnails: (N, SIDE, SIDE, 3) uint8, whole images stretched to squares.
        hashes: (N, HASH_SIDE, HASH_SIDE) bool, perceptual hashes.
        shapes: (N, 2) int32, height and width in pixels, upright.
        sharpness: (N,) float32, 0..1.
        brightness: (N,) float32, mean of the grey levels, 0..1.
        contrast: (N,) float32, standard deviation of the grey levels, 0..0.5.
        pixel_checksums: (N,) str, of the pixels at full size where they were asked for, else empty.
    """

    thumbnails: np.ndarray
    hashes: np.ndarray
    shapes: np.ndarray
    sharpness: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    pixel_checksums: np.ndarray

    @property
    def aspects(self) -> np.ndarray:
        """(N,) float, width over height."""
        return self.shapes[:, 1] / np.maximum(self.shapes[:, 0], 1)


def read_pictures(
    source: Source, earlier: Pictures | None = None, rows: np.ndarray | None = None
) -> Pictures:
    """Decodes every image of a source once, in threads, except those that are known from before.

    Args:
        source: N images.
        earlier: measurements of M images from before.
        rows: (N,) int, row of each image in `earlier`; -1 if it is not known.

    Raises:
        BrokenImage: if an image cannot be decoded.
    """
    source = original_source(source)
    count = len(source)
    found = Pictures(
        np.empty((count, SIDE, SIDE, 3), np.uint8),
        np.empty((count, HASH_SIDE, HASH_SIDE), bool),
        image_shapes(source),
        np.empty(count, np.float32),
        np.empty(count, np.float32),
        np.empty(count, np.float32),
        np.full(count, "", CHECKSUM_TYPE),
    )
    is_known = np.zeros(count, bool)
    if earlier is not None and rows is not None:
        is_known = rows >= 0
        for name in set(Pictures._fields) - {"shapes"}:
            getattr(found, name)[is_known] = getattr(earlier, name)[rows[is_known]]

    def measure(row: int, image: Image.Image) -> None:
        found.thumbnails[row] = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
        found.hashes[row] = perceptual_hash(image)
        grey = np.asarray(_measured(image).convert("L"), np.float32) / 255
        found.sharpness[row] = sharpness(grey)
        found.brightness[row], found.contrast[row] = grey.mean(), grey.std()

    def read(row: int) -> None:
        with_whole_image(source, row, functools.partial(measure, row))

    unknown = np.flatnonzero(~is_known).tolist()
    with progress_bar(len(unknown), "measuring images") as bar:
        for _ in thread_pool().map(read, unknown):
            bar.update()
    return found


def original_source(source: Source) -> ArraySource | EncodedSource:
    """The source of the original images, if this one caches them decoded at another size."""
    return original_source(source.source) if isinstance(source, CachedSource) else source


def image_shapes(source: ArraySource | EncodedSource) -> np.ndarray:
    """(N, 2) int32, height and width in pixels."""
    if isinstance(source, EncodedSource):
        return source.image_shapes
    return np.tile(np.array(source.images.shape[1:3], np.int32), (len(source), 1))


def with_whole_image(
    source: ArraySource | EncodedSource,
    row: int,
    use: Callable[[Image.Image], T],
    full: bool = False,
) -> T:
    """What a function returns for a whole image, or for its bounding box if the source has boxes.

    Args:
        source, row: identify the image.
        use: called with the upright image; see `decode.with_image`.
        full: whether to decode at full size; otherwise a JPEG may be decoded smaller and faster.

    Raises:
        BrokenImage, Unreachable: as `EncodedSource.load` does.
    """
    if isinstance(source, ArraySource):
        return use(Image.fromarray(source.images[row]))
    reduction = (lambda *shape: 1) if full else reduction_to(MEASURED_SIDE)
    with source.naming(row):
        return with_image(source.content(row), use, reduction, source.box(row))


def pixel_checksum(pictures: Pictures, source: ArraySource | EncodedSource, row: int) -> str:
    """Checksum of an image's size and decoded pixels, whatever its format; kept in `pictures`."""
    if not pictures.pixel_checksums[row]:
        digest = with_whole_image(source, row, _pixel_digest, full=True)
        pictures.pixel_checksums[row] = digest
    return str(pictures.pixel_checksums[row])


def _pixel_digest(image: Image.Image) -> str:
    digest = hashlib.sha256(f"{image.size}".encode())
    for top in range(0, image.height, ROWS_AT_ONCE):  # all bytes at once are a large copy
        rows = image.crop((0, top, image.width, min(top + ROWS_AT_ONCE, image.height)))
        digest.update(rows.tobytes())
    return digest.hexdigest()


def _measured(image: Image.Image) -> Image.Image:
    factor = min(image.size) / MEASURED_SIDE
    if factor <= 1:
        return image
    size = (round(image.width / factor), round(image.height / factor))
    return image.resize(size, Image.Resampling.BOX)
