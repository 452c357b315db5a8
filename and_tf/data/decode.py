"""Decoding one image, the same way for training, evaluation and embedding."""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from and_tf.errors import BrokenImage

# Only what is asked for: Pillow's other readers (EPS, TIFF, ...) are more than photos need.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
Image.init()  # registers all readers now: threads that decode must not do it side by side

# Pillow warns from 89 megapixels on and refuses from 179 on; the refusal is enough. Filters are
# set once, because `warnings.catch_warnings` is not safe in the threads that decode.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data", category=UserWarning)


def load_image(
    path_or_bytes: str | Path | bytes, reduction: Callable[[int, int], int] = lambda *shape: 1
) -> Image.Image:
    """Decodes an image file to RGB.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits, and
    an animation gives its first frame.

    Args:
        path_or_bytes: the path of a file, or its encoded bytes.
        reduction: given height and width of the upright image, the factor 1, 2, 4 or 8 by which a
            JPEG is decoded smaller: much faster for photos. Others are decoded at their size. The
            factor must follow from what the image is decoded for, so that pixels do.

    Returns:
        PIL image of mode RGB.

    Raises:
        BrokenImage: the image cannot be read, is corrupt, or has more than 179 megapixels.
    """
    try:
        file = io.BytesIO(path_or_bytes) if isinstance(path_or_bytes, bytes) else path_or_bytes
        with Image.open(file, formats=FORMATS) as image:
            factor = reduction(*upright_shape(image))
            if factor > 1:
                image.draft(None, (image.width // factor, image.height // factor))
            image.load()
            return _rgb(_upright(image))
    except MemoryError:
        raise
    except Exception as error:  # corrupt files make Pillow raise nearly anything
        if isinstance(path_or_bytes, bytes):
            where = f"{len(path_or_bytes)} encoded bytes"
        else:
            where = os.fspath(path_or_bytes)
        raise BrokenImage(f"cannot decode {where} ({reason(error)})") from error


def reduction_to(at_least: int) -> Callable[[int, int], int]:
    """The largest reduction that leaves both sides at least so many pixels, for `load_image`."""
    return lambda height, width: largest_reduction(min(height, width) / at_least)


def largest_reduction(at_most: float) -> int:
    """The largest factor that a JPEG can be decoded smaller by."""
    return next((factor for factor in (8, 4, 2) if factor <= at_most), 1)


def square(image: Image.Image, size: int) -> np.ndarray:
    """Resizes the shorter side to `size`, antialiased, and crops the centre, in one resampling.

    Args:
        image: PIL image of mode RGB.
        size: side of the result in pixels.

    Returns:
        (size, size, 3) uint8. An image of that size passes unchanged.
    """
    width, height = image.size
    if (width, height) != (size, size):
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image)


def load_square(path_or_bytes: str | Path | bytes, size: int) -> np.ndarray:
    """An image file as evaluation, embedding and export see it: a function of file and size alone.

    The shorter side is resized with antialiasing and the centre cropped, from the original; of a
    JPEG, from one that is decoded no smaller than twice `size`.

    Returns:
        (size, size, 3) uint8.
    """
    return square(load_image(path_or_bytes, reduction_to(2 * size)), size)


def upright_shape(image: Image.Image) -> tuple[int, int]:
    """Height and width once the EXIF rotation is applied, before anything is decoded."""
    try:
        is_turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except MemoryError:
        raise
    except Exception:  # corrupt EXIF beside valid pixels
        is_turned = False
    return (image.width, image.height) if is_turned else (image.height, image.width)


def _upright(image: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # corrupt EXIF beside valid pixels
        return image
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535)  # (H, W)
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def reason(error: BaseException) -> str:
    """Why a file is no readable image, in a few words."""
    if isinstance(error, UnidentifiedImageError):  # its message repeats the path
        return "not an image of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return "more than 179 megapixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
