"""Decoding one image, the same way for training, evaluation and embedding."""

import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from and_tf.data.boxes import crop_reduced, pixel_box
from and_tf.data.colours import check_mode, set_transparent_value, to_rgb
from and_tf.data.decoder_warnings import naming_image
from and_tf.data.formats import FORMATS, install_line_of, reader_of
from and_tf.data.large_images import open_large, within_limit
from and_tf.data.log_once import log_once
from and_tf.data.mending import mended
from and_tf.data.pixels_in_flight import pixels_in_flight
from and_tf.errors import BrokenImage

logger = logging.getLogger(__name__)

T = TypeVar("T")


def load_image(
    path_or_bytes: str | Path | bytes,
    reduction: Callable[[int, int], int] = lambda *shape: 1,
    box: np.ndarray | None = None,
) -> Image.Image:
    """Decodes an image file to RGB.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits, and
    of an animation or a file with several pictures the first is taken. A file whose pixels are
    intact but which is broken elsewhere is read, and a warning names it.

    Args:
        path_or_bytes: the path of a file, or its encoded bytes.
        reduction: returns the factor 1, 2, 4 or 8 by which a JPEG is decoded smaller, given height
            and width of the upright image, or of the box if there is one; much faster for photos.
            Other formats are decoded at full size. The factor may depend only on the shape and on
            what the image is decoded for, so that the pixels do.
        box: (4,) float, the part to return, see `boxes.pixel_box`; None for the whole image.

    Returns:
        PIL image of mode RGB.

    Raises:
        BrokenImage: if the image cannot be read, is corrupt, or has too many pixels: more than 179
            million by default, unless it is a JPEG that can be decoded smaller; see
            `large_images`.
    """
    return with_image(path_or_bytes, lambda image: image, reduction, box)


def with_image(
    path_or_bytes: str | Path | bytes,
    use: Callable[[Image.Image], T],
    reduction: Callable[[int, int], int] = lambda *shape: 1,
    box: np.ndarray | None = None,
) -> T:
    """Applies a function to the result of `load_image`, whose pixels are in flight meanwhile.

    Args:
        path_or_bytes, reduction, box: see `load_image`.
        use: reduces the image to something smaller.
    """
    with pixels_in_flight() as take:
        return use(_decode(path_or_bytes, reduction, box, take))


def _decode(
    path_or_bytes: str | Path | bytes,
    reduction: Callable[[int, int], int],
    box: np.ndarray | None,
    take: Callable[[int], None],
) -> Image.Image:
    """See `load_image`; `take` waits until a number of pixels may be decoded."""

    def decoded(image: Image.Image) -> Image.Image:
        height, width = _counted_shape(image, take)
        left, top, right, bottom = (0, 0, width, height)
        if box is not None:
            left, top, right, bottom = pixel_box(box, height, width)
        factor = within_limit(image, reduction(bottom - top, right - left))
        full_width = image.width
        if factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))
            factor = factor if image.width < full_width else 1  # not a JPEG
        if image.format != "PNG":
            take(image.width * image.height)
        image.load()
        found = to_rgb(_upright(image))
        return found if box is None else crop_reduced(found, (left, top, right, bottom), factor)

    try:
        return _of_mended(path_or_bytes, decoded)
    except MemoryError:
        raise
    except Exception as error:  # corrupt files make Pillow raise nearly anything
        raise BrokenImage(f"cannot decode {_name(path_or_bytes)} ({reason(error)})") from error


def header_shape(path_or_bytes: str | Path | bytes) -> tuple[int, int]:
    """Height and width of an upright image, from its header; raises whatever Pillow raises."""
    with pixels_in_flight() as take:
        return _of_mended(path_or_bytes, lambda image: _counted_shape(image, take))


def _of_mended(path_or_bytes: str | Path | bytes, work: Callable[[Image.Image], T]) -> T:
    """Applies a function to an opened image, mended if it is broken outside its pixels."""
    called = _name(path_or_bytes)
    called = called if isinstance(path_or_bytes, bytes) else os.path.abspath(called)
    with naming_image(called) as name:
        try:
            return _of_opened(path_or_bytes, work)
        except MemoryError:
            raise
        except Exception:  # as above
            found = mended(path_or_bytes)
            if found is None:
                raise
            result = _of_opened(found.content, work)
    log_once(logger, logging.WARNING, f"{name} is read, but {found.fault}.")
    return result


def _of_opened(path_or_bytes: str | Path | bytes, work: Callable[[Image.Image], T]) -> T:
    file = io.BytesIO(path_or_bytes) if isinstance(path_or_bytes, bytes) else path_or_bytes
    try:
        opened = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise _unidentified(path_or_bytes) from error
    except Image.DecompressionBombError as error:
        opened = open_large(file if isinstance(file, io.BytesIO) else os.fspath(file), error)
    with opened as image:
        check_mode(image)
        set_transparent_value(image)
        return work(image)


def _unidentified(path_or_bytes: str | Path | bytes) -> ValueError:
    """The error of a file that no reader knows; names the package that would read it."""
    start = path_or_bytes[:16] if isinstance(path_or_bytes, bytes) else b""
    if not isinstance(path_or_bytes, bytes):
        with open(path_or_bytes, "rb") as file:
            start = file.read(16)
    kind = reader_of(start)
    if line := install_line_of(kind):
        return ValueError(f"{kind}, read after {line}")
    return ValueError("not an image of a known format")


def _name(path_or_bytes: str | Path | bytes) -> str:
    if isinstance(path_or_bytes, bytes):
        return f"{len(path_or_bytes)} encoded bytes"
    return os.fspath(path_or_bytes)


def reduction_to(at_least: int) -> Callable[[int, int], int]:
    """For `load_image`: the largest reduction that leaves both sides at least this many pixels."""
    return lambda height, width: largest_reduction(min(height, width) / at_least)


def largest_reduction(at_most: float) -> int:
    """The largest factor, up to `at_most`, by which a JPEG can be decoded smaller."""
    return next((factor for factor in (8, 4, 2) if factor <= at_most), 1)


def square(image: Image.Image, size: int) -> np.ndarray:
    """Resizes the shorter side to `size`, antialiased, and crops the centre, in one resampling.

    Args:
        image: PIL image of mode RGB.
        size: side of the result in pixels.

    Returns:
        (size, size, 3) uint8. An image of that size is unchanged.
    """
    width, height = image.size
    if (width, height) != (size, size):
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image)


def centre(images: np.ndarray, size: int) -> np.ndarray:
    """The centre of square images: (..., R, R, 3) to (..., size, size, 3)."""
    start = centre_start(images.shape[-2], size)
    return images[..., start : start + size, start : start + size, :]


def centre_start(side: int, size: int) -> int:
    """The first of the `size` central pixels among `side`."""
    return round((side - size) / 2)


def resized_side(size: int, eval_crop: float) -> int:
    """Pixels to resize the shorter side to, so that a centre of `size` is `eval_crop` of it."""
    return round(size / eval_crop)


def load_square(
    path_or_bytes: str | Path | bytes,
    size: int,
    box: np.ndarray | None = None,
    eval_crop: float = 1.0,
) -> np.ndarray:
    """An image file as evaluation, embedding and export see it.

    The original is resized with antialiasing and its centre cropped; a JPEG is decoded at no less
    than twice the size that its shorter side is resized to. With a box, all of this applies to that
    part of the image. The centre covers the fraction `eval_crop` of the shorter side; 0.875 means
    resize to 256, crop 224.

    Returns:
        (size, size, 3) uint8.
    """
    side = resized_side(size, eval_crop)
    whole = with_image(path_or_bytes, lambda i: square(i, side), reduction_to(2 * side), box)
    return centre(whole, size)


def upright_shape(image: Image.Image) -> tuple[int, int]:
    """Height and width with the EXIF rotation applied, before anything is decoded."""
    if image.format == "TIFF":  # Pillow rotates it by itself
        return image.height, image.width
    try:
        is_turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except MemoryError:
        raise
    except Exception:  # corrupt EXIF beside valid pixels
        is_turned = False
    return (image.width, image.height) if is_turned else (image.height, image.width)


def _counted_shape(image: Image.Image, take: Callable[[int], None]) -> tuple[int, int]:
    """`upright_shape`; a PNG counts as decoded, because its rotation may follow its pixels."""
    if image.format == "PNG":
        take(image.width * image.height)
    return upright_shape(image)


def _upright(image: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # corrupt EXIF beside valid pixels
        return image
    return image


def reason(error: BaseException) -> str:
    """Why a file is not a readable image, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
