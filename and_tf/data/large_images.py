"""Images of so many pixels that decoding them could fill the machine's memory.

The limit is Pillow's, unless a program sets another one: 179 megapixels, which are 537 MB (512 MiB)
decoded. What claims more is refused by its header, before anything is decoded; except for a JPEG
whose lines can be decoded smaller one after the other, by up to 8 in each direction: it is decoded
at the largest size within the limit. A progressive JPEG is held whole by its decoder, and refused.
A file that is larger than any image within the limit is not read.
"""

from __future__ import annotations

import io
import re
import struct

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from and_tf.data.settings import MAX_MEGAPIXELS

BYTES_PER_PIXEL = 3
# Of a file: 16 bits of four channels without compression, beside thumbnails and other metadata.
ENCODED_BYTES_PER_PIXEL = 8
METADATA_BYTES = 64 << 20
MEGA = 1_000_000
REDUCTIONS = (1, 2, 4, 8)


class TooManyPixels(ValueError):
    """An image would take too much memory; says how large it is, and what to do."""


def most_pixels() -> int:
    """Of a decoded image; as in Pillow, whoever is sure of a file may set it higher there."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else 1 << 62


def most_encoded_bytes() -> int:
    """Of an image file, which is read whole to decode it; no image within the limit has more."""
    return METADATA_BYTES + ENCODED_BYTES_PER_PIXEL * most_pixels()


def fault_of_size(size: int) -> str:
    """Why a file of so many bytes is not read; empty where it is."""
    if size <= most_encoded_bytes():
        return ""
    return (
        f"its file has {size / MEGA:,.0f} MB, and the limit is {most_encoded_bytes() / MEGA:,.0f} "
        f"MB, by that of {megapixel_limit():,} megapixels (max_image_megapixels): save it smaller"
    )


_replaced: list[int | None] = []  # the limit that was Pillow's, or its user's


def limit_megapixels(megapixels: int) -> None:
    """Sets the limit of this process; the default is that of Pillow, which may be set there."""
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
        error: of Pillow.

    Raises:
        TooManyPixels: it cannot.
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
    """The factor by which an image is decoded smaller: that which is wanted, or a larger one."""
    pixels = image.width * image.height
    fitting = (f for f in REDUCTIONS if f >= factor and pixels <= most_pixels() * f * f)
    return next(fitting, REDUCTIONS[-1])


def too_many_pixels(size: tuple[int, int] | None, error: Exception) -> TooManyPixels:
    """The error of an image of a size (width, height), or of what Pillow says."""
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
    """Width and height of a PNG by its header."""
    if isinstance(file, io.BytesIO):
        start = file.getvalue()[:24]
    else:
        with open(file, "rb") as opened:
            start = opened.read(24)
    if not start.startswith(b"\x89PNG") or len(start) < 24:
        return None
    width, height = struct.unpack(">II", start[16:])
    return width, height
