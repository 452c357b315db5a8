"""A large image is made RGB in strips of rows, with the pixels of the whole one."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from and_tf.data import colours
from and_tf.data.decode import load_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (23, 10), dtype=np.uint8)
COLOURS = Image.fromarray(RNG.integers(0, 256, (23, 10, 4), dtype=np.uint8))
RGB = COLOURS.convert("RGB")
PALETTE = RGB.quantize(50)
DEEP = Image.fromarray(RNG.integers(0, 65536, (23, 10), dtype=np.uint16))


def encoded(image, file_format="PNG", **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 6
KINDS = {
    "grey": encoded(Image.fromarray(GREY)),
    "grey with a transparent value": encoded(Image.fromarray(GREY), transparency=int(GREY[20, 3])),
    "grey with alpha": encoded(COLOURS.convert("LA")),
    "alpha": encoded(COLOURS),
    "a transparent colour": encoded(RGB, transparency=COLOURS.getpixel((4, 9))[:3]),
    "palette": encoded(PALETTE),
    "palette with alpha": encoded(PALETTE, transparency=bytes(range(50))),
    "palette with a transparent value": encoded(PALETTE, transparency=7),
    "black and white": encoded(Image.fromarray(GREY > 99)),
    "ink": encoded(RGB.convert("CMYK"), "TIFF"),
    "16 bits": encoded(DEEP),
    "16 bits with a transparent value": encoded(DEEP, transparency=int(np.asarray(DEEP)[20, 3])),
    "16 bits where white is 0": encoded(DEEP, "TIFF", tiffinfo={262: 0}),
    "turned": encoded(COLOURS, exif=TURNED),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_strips_give_the_pixels_of_the_whole_image(kind, monkeypatch):
    whole = np.asarray(load_image(KINDS[kind]))
    for pixels in (1, 35, 230):
        monkeypatch.setattr(colours, "STRIP_PIXELS", pixels)
        np.testing.assert_array_equal(np.asarray(load_image(KINDS[kind])), whole)
