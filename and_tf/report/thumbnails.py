"""Small pictures for a page: JPEG in data URIs, or encoded for files next to it."""

import base64
import io
import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import Source
from and_tf.data.subsets import batches
from and_tf.data.workers import thread_pool

SMALL = 32  # pixels; images up to this side are kept as they are, and shown enlarged
SHEET_SIDE, PICTURE_SIDE = 64, 96  # for larger images, in a sheet of many or on their own
BLOCK = 8  # JPEG's block: tiles of whole blocks do not bleed into one another
SHEET_BYTES = 2_500_000  # of a sheet, to which base64 adds a third; photos take about half
QUALITIES = (90, 80, 65, 45, 25)
THUMBNAIL_QUALITY = 80  # for thousands of thumbnails


def sheet_side(image_size: int) -> int:
    """Side in pixels of a tile of `sheet`, for an encoder's input of side `image_size`."""
    return SHEET_SIDE if image_size > SMALL else math.ceil(image_size / BLOCK) * BLOCK


def picture_side(image_size: int) -> int:
    """Side in pixels of an image shown on its own."""
    return PICTURE_SIDE if image_size > SMALL else image_size


def picture(image: np.ndarray) -> str:
    """A data URI of one image (H, W, 3), uint8, or float in 0..255."""
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return data_uri(_jpeg(Image.fromarray(pixels), QUALITIES[0]))


def encode_thumbnails(source: Source, side: int) -> Iterator[bytes]:
    """All images of a source as JPEG, in order; decoded and encoded on all cores.

    Args:
        source: any number of images; each is decoded once.
        side: of a thumbnail in pixels.
    """
    with progress_bar(len(source), "making thumbnails") as bar:
        for batch in batches(np.arange(len(source)), side):
            images = source.load(batch, side)  # (B, side, side, 3) uint8
            yield from thread_pool().map(_thumbnail, images)
            bar.update(len(batch))


def _thumbnail(image: np.ndarray) -> bytes:
    return _jpeg(Image.fromarray(image), THUMBNAIL_QUALITY)


def sheet(images: np.ndarray) -> tuple[str, int]:
    """All images in one picture, row by row, in the best quality that fits into `SHEET_BYTES`.

    Args:
        images: (n, side, side, 3) uint8, n at least 1.

    Returns:
        A data URI, and the number of columns.
    """
    count, side = images.shape[:2]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.zeros((rows * columns, side, side, 3), np.uint8)
    canvas[:count] = images
    canvas = canvas.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
    whole = Image.fromarray(canvas.reshape(rows * side, columns * side, 3))
    for quality in QUALITIES:
        encoded = _jpeg(whole, quality)
        if len(encoded) <= SHEET_BYTES:
            break
    return data_uri(encoded), columns


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    # Full colour resolution: at half, colours smear over the few pixels of a small image. Not
    # optimised: Pillow's buffer for that is too small for noise.
    image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def data_uri(encoded: bytes) -> str:
    """A JPEG as a data URI."""
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()
