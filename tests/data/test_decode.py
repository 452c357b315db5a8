"""Every kind of image file becomes the same kind of array."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from and_tf.data.decode import load_image, load_square, reduction_to, square

RED, BLUE = (200, 30, 40), (20, 60, 180)


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def gradient(width, height):
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, (x + y) / 2], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "JPEG", "WEBP", "GIF"])
def test_formats_become_rgb(file_format):
    image = load_image(encoded(Image.new("RGB", (20, 10), RED), file_format))
    assert image.mode == "RGB" and image.size == (20, 10)
    np.testing.assert_allclose(np.asarray(image)[5, 5], RED, atol=8)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_modes_become_rgb(mode):
    image = Image.new("RGB", (8, 8), "white").convert("L" if mode == "LA" else "RGB")
    pixels = np.asarray(load_image(encoded(image.convert(mode))))
    np.testing.assert_array_equal(pixels, np.full((8, 8, 3), 255))


def test_cmyk_jpeg_keeps_its_colour():
    image = load_image(encoded(Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG"))
    np.testing.assert_allclose(np.asarray(image)[8, 8], RED, atol=6)


def test_16_bit_grey_is_scaled_to_8_bits():
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    pixels = np.asarray(load_image(encoded(Image.fromarray(grey))))
    np.testing.assert_array_equal(pixels[0], np.repeat([[0], [1], [128], [255]], 3, axis=1))


def test_transparency_is_laid_over_white():
    image = Image.new("RGBA", (2, 1))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    np.testing.assert_allclose(np.asarray(load_image(encoded(image)))[0, :, 0], [255, 127])


def test_transparent_colour_of_a_palette_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    pixels = np.asarray(load_image(encoded(image, transparency=0)))
    np.testing.assert_array_equal(pixels[0], [(255, 255, 255), (40, 50, 60)])


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_an_animation_gives_its_first_frame(file_format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(np.asarray(load_image(data))[8, 8], RED, atol=8)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_other_frames_of_an_animation_are_not_decoded(file_format):
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    frames = [Image.new("RGB", (64, 64), RED), *map(Image.fromarray, noise)]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    place = data.find(noise[-1].tobytes()[600:650])  # of TIFF, whose pages end with their tags
    place = place if place > 0 else len(data) - 600
    corrupt = data[:place] + bytes(300) + data[place + 300 :]
    assert not np.array_equal(frame(corrupt, 3), frame(data, 3))
    np.testing.assert_allclose(np.asarray(load_image(corrupt))[8, 8], RED, atol=8)


def frame(data, number):
    """The pixels of one frame; None where it is corrupt."""
    with Image.open(io.BytesIO(data)) as image:
        try:
            image.seek(number)
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError):
            return None


@pytest.mark.parametrize(
    "orientation, turn",
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (8, np.rot90),
    ],
)
def test_exif_orientation_is_applied(orientation, turn):
    image = gradient(6, 4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = np.asarray(load_image(encoded(image, exif=exif)))
    np.testing.assert_array_equal(turned, turn(np.asarray(image)))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # pytest resets the filters of imports
def test_damaged_exif_beside_sound_pixels_is_no_error():
    data = encoded(gradient(16, 16), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert load_image(data).size == (16, 16)


def test_square_of_that_size_is_unchanged():
    image = gradient(16, 16)
    np.testing.assert_array_equal(square(image, 16), np.asarray(image))


@pytest.mark.parametrize("width, height", [(60, 40), (40, 60), (41, 97), (5, 9), (1, 3)])
def test_square_equals_resize_then_crop(width, height):
    image, size = gradient(width, height), 8
    scale = size / min(width, height)
    wide = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (wide.width - size) // 2, (wide.height - size) // 2
    expected = np.asarray(wide.crop((left, top, left + size, top + size)), np.int32)
    found = square(image, size)
    assert found.shape == (size, size, 3) and found.dtype == np.uint8
    # Less than half a pixel of the gradient's slope, for the crop need not fall on whole pixels.
    slope = 255 / (size * max(width, height) / min(width, height)) + 255 / size
    assert np.abs(found - expected).max() <= slope / 2 + 2


def test_square_is_antialiased():
    checks = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    np.testing.assert_allclose(square(checks.convert("RGB"), 8), 127, atol=3)


def test_reduced_jpeg_decoding_hardly_changes_the_result():
    data = encoded(gradient(900, 600), "JPEG", quality=95)
    assert min(load_image(data, reduction_to(64)).size) < 600
    full = square(load_image(data), 32).astype(int)
    assert np.abs(load_square(data, 32) - full).max() <= 3


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "known format"),
        (b"no image at all", "known format"),
        (encoded(gradient(64, 64), "JPEG")[:-200], "truncated"),
        (encoded(gradient(64, 64), "PNG")[:-200], ""),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "known format"),
    ],
)
def test_broken_images_are_one_line_errors(tmp_path, data, reason):
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"picture.jpg .*{reason}") as caught:
        load_image(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=f"{len(data)} encoded bytes"):
        load_image(data)


def test_missing_file_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.png \(No such file"):
        load_image(tmp_path / "gone.png")


def test_too_many_pixels_are_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="megapixels"):
        load_image(encoded(gradient(20, 11)))


def test_the_warning_before_that_limit_is_silent():
    code = (
        "import io; from PIL import Image; from and_tf.data.decode import load_image\n"
        "f = io.BytesIO(); Image.new('RGB', (15, 10)).save(f, 'PNG')\n"
        "Image.MAX_IMAGE_PIXELS = 100; load_image(f.getvalue())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "DecompressionBomb" not in done.stderr
