"""Small pictures that travel inside a page, as JPEG in data URIs."""

import base64
import io
import math

import numpy as np
from PIL import Image

SMALL = 32  # pixels; up to this side images are kept as they are, and shown enlarged
SHEET_SIDE, PICTURE_SIDE = 64, 96  # of larger images, in a sheet of many or on their own
BLOCK = 8  # JPEG's: tiles of whole blocks do not bleed into each other
SHEET_BYTES = 2_500_000  # of one sheet, a third less than in base64; photos take about half
QUALITIES = (90, 80, 65, 45, 25)


def sheet_side(image_size: int) -> int:
    """Side in pixels of a tile of `sheet` for an encoder's input of this side."""
    return SHEET_SIDE if image_size > SMALL else math.ceil(image_size / BLOCK) * BLOCK


def picture_side(image_size: int) -> int:
    """Side in pixels of an image shown on its own."""
    return PICTURE_SIDE if image_size > SMALL else image_size


def picture(image: np.ndarray) -> str:
    """A data URI of one image (H, W, 3), uint8, or float in 0..255."""
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return _uri(_jpeg(Image.fromarray(pixels), QUALITIES[0]))


def sheet(images: np.ndarray) -> tuple[str, int]:
    """All images in one picture, row by row, in the best quality that keeps to `SHEET_BYTES`.

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
    return _uri(encoded), columns


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    # Colour in full: halved, it smears over the few pixels of a small image. And not optimised:
    # Pillow's buffer for that is too small for noise.
    image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def _uri(encoded: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()
