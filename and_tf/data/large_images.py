"""Images of so many pixels that decoding them could fill the machine's memory.

The limit is Pillow's, unless a program sets another one: 179 megapixels, which are 537 MB (512 MiB)
decoded. An image whose header claims more is refused before anything is decoded. The exception is a
JPEG that can be decoded line by line at a size reduced by up to 8 in each direction: it is decoded
at the largest size within the limit. A progressive JPEG is refused, because its decoder holds all
of it in memory. A file that is larger than any image within the limit is not read.
"""

from __future__ import annotations

import io
import re
import struct

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from and_tf.data.settings import MAX_MEGAPIXELS

BYTES_PER_PIXEL = 3
# In a file: four channels of 16 bits without compression; thumbnails and other metadata are extra.
ENCODED_BYTES_PER_PIXEL = 8
METADATA_BYTES = 64 << 20
MEGA = 1_000_000
REDUCTIONS = (1, 2, 4, 8)


class TooManyPixels(ValueError):
    """An image would take too much memory; the message gives its size and what to do."""


def most_pixels() -> int:
    """The most pixels of a decoded image; a user who trusts a file may raise Pillow's limit."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else 1 << 62


def most_encoded_bytes() -> int:
    """The most bytes of an image file, which is read whole; no image within the limit has more."""
    return METADATA_BYTES + ENCODED_BYTES_PER_PIXEL * most_pixels()


def fault_of_size(size: int) -> str:
    """Why a file of this size in bytes is not read; empty if it is."""
    if size <= most_encoded_bytes():
        return ""
    return (
        f"its file has {size / MEGA:,.0f} MB, and the limit is {most_encoded_bytes() / MEGA:,.0f} "
        f"MB, to match that of {megapixel_limit():,} megapixels (max_image_megapixels): save it "
        "smaller"
    )


_replaced: list[int | None] = []  # the previous limit, which Pillow or the user had set


def limit_megapixels(megapixels: int) -> None:
    """Sets the limit of this process; the default restores Pillow's, or what the user set there."""
    if megapixels == MAX_MEGAPIXELS:
        if _replaced:
            Image.MAX_IMAGE_PIXELS = _replaced.pop()
        return
    if not _replaced:
        _replaced.append(Image.MAX_IMAGE_PIXELS)
    Image.MAX_IMAGE_PIXELS = megapixels * MEGA // 2


def megapixel_limit() -> int:
    """The limit of this process, in whole megapixels."""
    return round(most_pixels() / MEGA)


def open_large(file: str | io.BytesIO, error: Exception) -> ImageFile.ImageFile:
    """Opens an image that Pillow refuses for its number of pixels, if it can be decoded smaller.

    Args:
        file: path or content.
        error: Pillow's.

    Raises:
        TooManyPixels: if it cannot.
    """
    if isinstance(file, io.BytesIO):
        file.seek(0)
    try:
        image = JpegImageFile(file)
    except SyntaxError:
        raise too_many_pixels(_claimed_size(file), error) from error
    size = image.size
    if "progressive" in image.info or size[0] * size[1] > most_pixels() * REDUCTIONS[-1] ** 2:
        image.close()
        raise too_many_pixels(size, error) from error
    return image


def within_limit(image: Image.Image, factor: int) -> int:
    """The factor by which to decode an image smaller: the wanted one, or a larger one if needed."""
    pixels = image.width * image.height
    fitting = (f for f in REDUCTIONS if f >= factor and pixels <= most_pixels() * f * f)
    return next(fitting, REDUCTIONS[-1])


def too_many_pixels(size: tuple[int, int] | None, error: Exception) -> TooManyPixels:
    """The error for an image of a size (width, height), or of the pixel count in Pillow's error."""
    count = re.search(r"\d+", str(error))
    pixels = size[0] * size[1] if size else int(count[0]) if count else 0
    shown = f"{size[0]:,} x {size[1]:,}" if size else f"{pixels:,}"
    limit = most_pixels()
    return TooManyPixels(
        f"its {shown} pixels would take {pixels * BYTES_PER_PIXEL / MEGA:,.0f} MB, and the limit "
        f"is {limit / MEGA:.0f} megapixels (max_image_megapixels), "
        f"{limit * BYTES_PER_PIXEL / MEGA:,.0f} MB: save it smaller"
    )


def _claimed_size(file: str | io.BytesIO) -> tuple[int, int] | None:
    """Width and height of a PNG according to its header; None for other files."""
    if isinstance(file, io.BytesIO):
        start = file.getvalue()[:24]
    else:
        with open(file, "rb") as opened:
            start = opened.read(24)
    if not start.startswith(b"\x89PNG") or len(start) < 24:
        return None
    width, height = struct.unpack(">II", start[16:])
    return width, height
