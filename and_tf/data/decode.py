"""Decoding one image, the same way for training caches, evaluation and embedding."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Only what is asked for: Pillow's other readers (EPS, TIFF, ...) are more than photos need.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
Image.init()  # registers all readers now: threads that decode must not do it side by side

# Pillow warns from 89 megapixels on and refuses from 179 on; the refusal is enough. Filters are
# set once, because `warnings.catch_warnings` is not safe in the threads that decode.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data", category=UserWarning)


def load_image(path_or_bytes: str | Path | bytes, at_least: int | None = None) -> Image.Image:
    """Decodes an image file to RGB.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits, and
    an animation gives its first frame.

    Args:
        path_or_bytes: the path of a file, or its encoded bytes.
        at_least: if given, a JPEG with both sides of at least twice this many pixels may be decoded
            at 1/2, 1/4 or 1/8 of its size, with no side below `at_least`; much faster for photos.

    Returns:
        PIL image of mode RGB.

    Raises:
        ValueError: the image cannot be read, is damaged, or has more than 179 megapixels.
    """
    is_bytes = isinstance(path_or_bytes, bytes)
    try:
        file = io.BytesIO(path_or_bytes) if is_bytes else path_or_bytes
        with Image.open(file, formats=FORMATS) as image:
            if at_least:
                image.draft(None, (at_least, at_least))
            image.load()
            return _rgb(_upright(image))
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        where = f"{len(path_or_bytes)} encoded bytes" if is_bytes else os.fspath(path_or_bytes)
        raise ValueError(f"cannot decode {where} ({_reason(error)})") from error


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
    """`load_image`, then `square`: (size, size, 3) uint8, the way to decode an image file here."""
    return square(load_image(path_or_bytes, at_least=2 * size), size)


def why_broken(path: str | Path, decode: bool = False) -> str | None:
    """Says in a few words why a file is no readable image, or None if it is one.

    Args:
        path: the file.
        decode: read all pixels; else only the header.
    """
    try:
        size = os.path.getsize(path)
        if not os.path.isfile(path):  # reading a pipe would hang
            return "no regular file"
        if size == 0:
            return "empty file"
        if decode:
            load_image(path)
        else:
            Image.open(path, formats=FORMATS).close()
    except MemoryError:
        raise
    except Exception as error:
        return _reason(error.__cause__ or error)
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF beside sound pixels
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


def _reason(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):  # its message repeats the path
        return "not an image of a known format"
    if isinstance(error, Image.DecompressionBombError):
        return "more than 179 megapixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
