"""Files as people have them: each kind that Pillow reads gives the pixels that it shows."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from helpers.encoded import big_endian_tiff, bmp, chunk, encoded, gradient, png
from PIL import Image, features

from and_tf.data import formats
from and_tf.data.decode import header_shape, load_image, load_square
from and_tf.errors import BrokenImage

RED, GREEN, BLUE, WHITE = (200, 30, 40), (20, 160, 60), (20, 60, 180), (255, 255, 255)


def pixels_of(content):
    return np.asarray(load_image(content))


def test_a_bitmap_of_8_bits_with_a_palette():
    rows = bytes([0, 1, 2, 0]) + bytes([2, 2, 1, 0])
    found = pixels_of(bmp(3, 2, 8, rows, [RED, GREEN, BLUE]))
    np.testing.assert_array_equal(found, [[BLUE, BLUE, GREEN], [RED, GREEN, BLUE]])


def test_a_bitmap_of_1_bit():
    found = pixels_of(bmp(3, 1, 1, bytes([0b01000000, 0, 0, 0]), [RED, BLUE]))
    np.testing.assert_array_equal(found, [[RED, BLUE, RED]])


@pytest.mark.parametrize(
    "bits, compression, rows",
    [
        (8, 1, bytes([2, 1, 2, 2, 0, 0, 0, 4, 0, 1, 2, 1, 0, 0, 0, 1])),
        (4, 2, bytes([2, 0x11, 2, 0x22, 0, 0, 0, 4, 0x01, 0x21, 0, 0, 0, 1])),
    ],
)
def test_a_bitmap_of_run_lengths(bits, compression, rows):
    found = pixels_of(bmp(4, 2, bits, rows, [RED, GREEN, BLUE], compression))
    expected = [[RED, GREEN, BLUE, GREEN], [GREEN, GREEN, BLUE, BLUE]]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF"])
def test_transparent_pixels_are_white_and_of_the_first_frame(file_format):
    frames = [Image.new("RGBA", (8, 8), (*colour, 255)) for colour in (RED, BLUE)]
    for frame in frames:
        frame.paste((0, 0, 0, 0), (2, 2, 6, 6))
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    found = pixels_of(content)
    np.testing.assert_array_equal(found[2:6, 2:6], np.full((4, 4, 3), 255))
    np.testing.assert_allclose(found[6:], np.broadcast_to(RED, (2, 8, 3)), atol=4)


def scaled(values, bits):
    return np.round(np.array(values) * 255 / (2**bits - 1)).astype(int).tolist()


@pytest.mark.parametrize(
    "bits, row, values, transparent",
    [
        (1, bytes([0b01000000]), [0, 1], 0),
        (1, bytes([0b01000000]), [0, 1], 1),
        (2, bytes([0b01100000]), [1, 2], 1),
        (4, bytes([0x5A]), [5, 10], 10),
        (8, bytes([5, 10]), [5, 10], 5),
        (16, struct.pack(">HH", 0x1234, 0x1235), [0x1234, 0x1235], 0x1234),
        (16, struct.pack(">HH", 0, 300), [0, 300], 0),
    ],
)
def test_the_transparent_value_of_grey_is_white_at_any_depth(bits, row, values, transparent):
    found = pixels_of(png(2, bits, 0, [row], chunk(b"tRNS", struct.pack(">H", transparent))))
    expected = scaled(values, bits)
    expected[values.index(transparent)] = 255
    assert found[0, :, 0].tolist() == expected


@pytest.mark.parametrize("bits", [8, 16])
def test_the_transparent_colour_is_white_at_any_depth(bits):
    form, scale = (">6B", 1) if bits == 8 else (">6H", 256)
    row = struct.pack(form, *(scale * value for value in (18, 35, 52, 9, 8, 7)))
    transparent = struct.pack(">3H", *(scale * value for value in (18, 35, 52)))
    found = pixels_of(png(2, bits, 2, [row], chunk(b"tRNS", transparent)))
    np.testing.assert_array_equal(found, [[WHITE, (9, 8, 7)]])


def test_grey_of_16_bits_is_its_twin_of_8_bits():
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for transparent in (0, 40, 255):
        deep = png(16, 16, 0, [(row * 257).astype(">u2").tobytes() for row in grey],
                   chunk(b"tRNS", struct.pack(">H", transparent * 257)))  # fmt: skip
        flat = png(16, 8, 0, [row.astype(np.uint8).tobytes() for row in grey],
                   chunk(b"tRNS", struct.pack(">H", transparent)))  # fmt: skip
        np.testing.assert_array_equal(pixels_of(deep), pixels_of(flat))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_tiff_files_of_many_modes(mode, compression):
    image = gradient(20, 12).convert(mode)
    found = load_image(encoded(image, "TIFF", compression=compression))
    np.testing.assert_array_equal(found, image.convert("RGB"))


def test_grey_tiff_files_of_16_bits_are_scaled():
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    found = pixels_of(encoded(Image.fromarray(grey), "TIFF"))
    assert found[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_grey_tiff_files_of_16_bits_in_either_order_of_bytes(mode, compression):
    grey = gradient(24, 16).convert("L")
    deep = np.asarray(grey).astype(">u2" if mode[-1] == "B" else "<u2") * 257
    image = Image.frombytes(mode, grey.size, deep.astype(deep.dtype).tobytes())
    found = pixels_of(encoded(image, "TIFF", compression=compression))
    np.testing.assert_array_equal(found, np.asarray(grey.convert("RGB")))


@pytest.mark.parametrize("compression", ["group3", "group4", "packbits"])
def test_tiff_files_of_1_bit_as_scanners_write_them(compression):
    image = gradient(20, 12).convert("1")
    for white_is_zero in (False, True):
        options = {"tiffinfo": {262: 0}} if white_is_zero else {}
        content = encoded(image, "TIFF", compression=compression, **options)
        np.testing.assert_array_equal(load_image(content), image.convert("RGB"))


@pytest.mark.parametrize("white", [0, 1])
@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_grey_tiff_files_of_big_endian_machines(white, bits):
    values = np.arange(16 * 8).reshape(8, 16) * (2**bits - 1) // 127
    shown = (values if white else 2**bits - 1 - values) * 255 / (2**bits - 1)
    if bits < 8:
        digits = (values[..., None] >> np.arange(bits)[::-1]) & 1
        rows = np.packbits(digits.reshape(8, -1), axis=1)
    else:
        rows = values.astype(f">u{bits // 8}").view(np.uint8)
    found = pixels_of(big_endian_tiff(rows, white, bits, width=16))
    np.testing.assert_allclose(found[..., 0], shown, atol=0.51)


@pytest.mark.parametrize(
    "mode, photometric, bits",
    [("RGB", 2, 8), ("RGB", 2, 16), ("RGBA", 2, 8), ("RGBA", 2, 16), ("CMYK", 5, 8)],
)
def test_colour_tiff_files_of_big_endian_machines(mode, photometric, bits):
    image = gradient(24, 16).convert(mode)
    pixels = np.asarray(image).astype(np.uint16) * (257 if bits == 16 else 1)
    rows = pixels.astype(f">u{bits // 8}").reshape(16, -1).view(np.uint8)
    more = [(338, 2)] if mode == "RGBA" else []
    found = load_image(big_endian_tiff(rows, photometric, bits, len(mode), more=more))
    np.testing.assert_array_equal(found, image.convert("RGB"))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_tiff_files_are_turned_once(orientation):
    image = gradient(12, 8)
    content = encoded(image, "TIFF", tiffinfo={274: orientation})
    twin = encoded(image, exif=exif_of(orientation))
    assert header_shape(content) == header_shape(twin)
    np.testing.assert_array_equal(pixels_of(content), pixels_of(twin))


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    "array, reason",
    [
        (np.zeros((4, 4), np.float32), "floating-point"),
        (np.full((4, 4), 70000, np.int32), "more than 16 bits"),
    ],
)
def test_pixels_of_unknown_white_are_refused(array, reason):
    content = encoded(Image.fromarray(array), "TIFF")
    with pytest.raises(BrokenImage, match=reason):
        load_image(content)


def test_several_pictures_in_one_file_give_the_first():
    for file_format in ("MPO", "TIFF"):
        pictures = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
        content = encoded(pictures[0], file_format, save_all=True, append_images=pictures[1:])
        grey = [picture.convert("L") for picture in pictures]
        content_of_grey = encoded(grey[0], file_format, save_all=True, append_images=grey[1:])
        found, expected = pixels_of(content_of_grey), grey[0].convert("RGB")
        np.testing.assert_allclose(found, expected, atol=4)
        np.testing.assert_allclose(pixels_of(content)[8, 8], RED, atol=4)
    large = [gradient(640, 640), Image.new("RGB", (640, 640), BLUE)]
    content = encoded(large[0], "MPO", save_all=True, append_images=large[1:])
    reduced = load_square(content, 32)
    assert np.abs(reduced - np.asarray(gradient(32, 32)).astype(int)).max() < 12


@pytest.mark.parametrize(
    "name, file_format",
    [("1.dib", "DIB"), ("1.ppm", "PPM"), ("1.jp2", "JPEG2000"), ("1.jfif", "JPEG")],
)
def test_further_formats(tmp_path, name, file_format):
    gradient(24, 16).save(tmp_path / name, file_format)
    found = np.asarray(load_image(tmp_path / name)).astype(int)
    assert np.abs(found - np.asarray(gradient(24, 16))).mean() < 4
    assert name.partition(".")[2] in formats.EXTENSIONS


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_jpeg_2000_of_many_modes(mode):
    image = gradient(24, 16).convert(mode)
    if mode == "RGBA":
        image.putalpha(gradient(24, 16).convert("L"))
    white = Image.new("RGBA", image.size, "white")
    expected = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    np.testing.assert_allclose(load_image(encoded(image, "JPEG2000")), expected, atol=1)


@pytest.mark.parametrize("no_jp2", [False, True])
def test_jpeg_2000_of_16_bits_is_scaled(no_jp2):
    grey = np.asarray(gradient(24, 16).convert("L"))
    content = encoded(Image.fromarray(grey.astype(np.uint16) * 257), "JPEG2000", no_jp2=no_jp2)
    np.testing.assert_array_equal(pixels_of(content)[..., 0], grey)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif():
    image = Image.new("RGBA", (16, 16), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 8, 16))
    found = pixels_of(encoded(image, "AVIF", quality=95))
    np.testing.assert_allclose(found[8, [2, 12]], [WHITE, RED], atol=10)


def test_heic_turned_and_transparent():
    pytest.importorskip("pillow_heif")
    found = load_image(encoded(gradient(64, 32), "HEIF", quality=95, exif=exif_of(6).tobytes()))
    assert found.size == (32, 64)
    turned = np.rot90(np.asarray(gradient(64, 32)).astype(int), -1)
    assert np.abs(np.asarray(found) - turned).mean() < 4
    image = Image.new("RGBA", (32, 32), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    found = pixels_of(encoded(image, "HEIF", quality=95))
    np.testing.assert_allclose(found[16, [4, 28]], [WHITE, RED], atol=10)


@pytest.mark.parametrize(
    "start, install",
    [(b"\0\0\0\x18ftypheic\0\0\0\0", "pillow-heif"), (b"\0\0\0\x18ftypavif\0\0\0\0", "pillow>=")],
)
def test_a_jpeg_by_name_that_is_none_says_what_reads_it(tmp_path, monkeypatch, start, install):
    from and_tf.data import decode

    few = ("JPEG", "PNG")
    monkeypatch.setattr(decode, "FORMATS", few)
    monkeypatch.setattr(formats, "FORMATS", few)
    (tmp_path / "1.jpg").write_bytes(start + b"\0" * 40)
    with pytest.raises(BrokenImage, match=f"pip install '?{install}"):
        load_image(tmp_path / "1.jpg")


def test_the_readers_are_there_without_pillow_heif():
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: None if n == 'pillow_heif' else find(n, *a)\n"
        "from and_tf.data import formats\n"
        "print('heic' in formats.EXTENSIONS, formats.install_line('heic'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False pip install pillow-heif"
