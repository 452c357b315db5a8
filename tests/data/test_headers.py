"""What is read of headers without Pillow is what Pillow says."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from and_tf.data.decode import header_shape
from and_tf.data.headers import plain_shape

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)


def encoded(kind, mode="RGB", orientation=None, **options):
    if orientation:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        exif[ExifTags.Base.Make] = "a maker of cameras"
        exif[ExifTags.Base.XResolution] = 72.0
        options["exif"] = exif
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, kind, **options)
    return file.getvalue()


FILES = {
    "jpeg": encoded("JPEG"),
    "grey": encoded("JPEG", "L"),
    "cmyk": encoded("JPEG", "CMYK"),
    "progressive": encoded("JPEG", progressive=True, comment=b"words"),
    "profile": encoded("JPEG", icc_profile=bytes(300)),
    "resolution": encoded("JPEG", dpi=(300, 300)),
    "upright": encoded("JPEG", orientation=3),
    "turned": encoded("JPEG", orientation=6),
    "png": encoded("PNG"),
    "png-palette": encoded("PNG", "P"),
    "png-alpha": encoded("PNG", "RGBA", dpi=(72, 72)),
    "png-grey": encoded("PNG", "L"),
}
OTHERS = {
    "xmp": encoded("JPEG", xmp=b'<x tiff:Orientation="6"/>'),
    "png-turned": encoded("PNG", orientation=6),
    "png-16": encoded("PNG", "I;16"),
    "webp": encoded("WEBP"),
    "empty": b"",
}


@pytest.mark.parametrize("name", FILES)
def test_ordinary_files_need_no_pillow(name):
    assert plain_shape(FILES[name]) == header_shape(FILES[name])
    assert plain_shape(FILES[name]) == ((14, 9) if "turned" in name else (9, 14))


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_left_to_pillow(name):
    assert plain_shape(OTHERS[name]) is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_of_files_with_a_fault_both_say_the_same_or_pillow_is_asked(data):
    content = bytearray(data.draw(st.sampled_from([*FILES.values(), *OTHERS.values()])))
    for _ in range(data.draw(st.integers(1, 3))):
        if content:
            place = data.draw(st.integers(0, min(len(content), 700) - 1))
            content[place] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    found = plain_shape(content)
    if found is not None:
        assert header_shape(content) == found


def test_images_beyond_pillows_warning_are_left_to_it():
    content = bytearray(FILES["jpeg"])
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = b"\xff\xff\xff\xff"
    assert plain_shape(bytes(content)) is None
