"""The pixels of an image of any kind as RGB: 16 bits to 8, transparency over white."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

REFUSED = {
    "F": "floating-point pixels, whose white level is unknown: save it with 8 or 16 bits",
    "LAB": "L*a*b* colours: save it as RGB",
}


def check_mode(image: Image.Image) -> None:
    """Refuses pixels that cannot be converted to RGB, before anything is decoded.

    Raises:
        ValueError: names the kind of pixels.
    """
    if image.mode in REFUSED:
        raise ValueError(REFUSED[image.mode])


def set_transparent_value(image: Image.Image) -> None:
    """Converts the transparent value of a PNG to the scale of the pixels that Pillow decodes.

    Pillow scales 2-bit and 4-bit grey to 8 bits and cuts 16-bit colours to 8, but returns their
    transparent value as it stands in the file. Call this before the pixels are loaded.
    """
    value: Any = image.info.get("transparency")
    tile = getattr(image, "tile", ())
    raw_mode = str(tile[0][3]) if image.format == "PNG" and tile else ""
    if raw_mode in ("L;2", "L;4") and isinstance(value, int):
        image.info["transparency"] = value * (85 if raw_mode == "L;2" else 17)
    elif raw_mode == "RGB;16B" and isinstance(value, tuple):
        image.info["transparency"] = tuple(part >> 8 for part in value)


STRIP_PIXELS = 4 << 20  # converted at a time: a conversion takes up to 40 bytes per pixel


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image to mode RGB; transparency is laid over white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    if height <= rows:
        return _strip_to_rgb(image, tags)
    result = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        result.paste(_strip_to_rgb(strip, tags), (0, top))
    return result


def _strip_to_rgb(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _grey_of_8_bits(image, tags)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


PHOTOMETRIC, BITS = 262, 258  # tags of TIFF


def _grey_of_8_bits(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """Grey of up to 16 bits as L, or as LA where one of its values is transparent."""
    values = np.asarray(image).astype(np.int64)  # (H, W)
    if values.max(initial=0) > 65535:
        raise ValueError("pixels of more than 16 bits, whose white level is unknown")
    if tags.get(BITS) == (12,):
        values = values * 65535 // 4095
    grey = (np.clip(values, 0, 65535) + 128) // 257
    if tags.get(PHOTOMETRIC) == 0:  # white is 0
        grey = 255 - grey
    result = Image.fromarray(grey.astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        alpha = np.where(values == transparent, 0, 255).astype(np.uint8)
        result.putalpha(Image.fromarray(alpha))
    return result
