"""Many small images in one picture."""

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from and_tf.errors import UserError

MIN_TILE = 64  # pixels: below this a 32x32 image is hard to see


def grid(
    images: np.ndarray | Sequence[np.ndarray],
    columns: int = 8,
    gap: int = 2,
    scale: int | None = None,
) -> Image.Image:
    """Tiles images row by row on a white background.

    Args:
        images: (n, H, W, 3) uint8, or float in 0..255.
        columns: tiles per row.
        gap: white pixels between tiles.
        scale: integer factor by which pixels are repeated; by default the smallest that makes tiles
            at least 64 pixels high and wide.

    Returns:
        A PIL image.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3 or images.size == 0:
        raise UserError(f"images must be (n, H, W, 3) with n > 0. Received {images.shape}.")
    tiles = np.clip(np.rint(images), 0, 255).astype("uint8")
    scale = scale or math.ceil(MIN_TILE / min(tiles.shape[1:3]))
    tiles = tiles.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width, _ = tiles.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    canvas = np.full(shape, 255, "uint8")
    for number, tile in enumerate(tiles):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return Image.fromarray(canvas)


def png(image: Image.Image, software: str | None = None) -> bytes:
    """The content of a PNG file; if Pillow wrote it to a full disk, the error would be unclear.

    Args:
        image: the picture.
        software: what wrote it, stored as metadata; `Image.open(path).info["Software"]` reads it.
    """
    text = PngInfo()
    if software is not None:
        text.add_text("Software", software)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text)
    return file.getvalue()
