"""Images of too many pixels are refused by their header, or decoded smaller, in bounded memory."""

import io
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers.pictures import error_of, write_images
from helpers.spoiled import huge_png
from PIL import Image

from and_tf.data import large_images
from and_tf.data.decode import header_shape, load_image, load_square
from and_tf.data.large_images import limit_megapixels, megapixel_limit
from and_tf.data.settings import MAX_MEGAPIXELS, DataSettings
from and_tf.data.sources.opening import open_source, open_train_and_held_out


def jpeg(width, height, **options):
    file = io.BytesIO()
    rows = np.linspace(0, 255, height).astype(np.uint8)[:, None].repeat(width, axis=1)
    Image.fromarray(rows).convert("RGB").save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture
def small_limit(monkeypatch):
    """Of 2,000 pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(large_images, "_replaced", [])


@pytest.mark.parametrize(("side", "decoded"), [(40, 40), (80, 40), (160, 40), (340, 43)])
def test_a_jpeg_is_decoded_at_the_largest_size_within_the_limit(small_limit, side, decoded):
    content = jpeg(side, side)
    assert header_shape(content) == (side, side)
    image = load_image(content)
    assert image.size == (decoded, decoded)
    assert abs(np.asarray(image)[decoded // 2].mean() - 128) < 8  # the whole of it
    assert load_square(content, 16).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (jpeg(50, 60, progressive=True), "50 x 60"),
        (jpeg(400, 800), "400 x 800"),
        (huge_png(50, has_pixels=False), "50 x 50"),
        (b"P6 50 60 255 ", "3,000"),
    ],
)
def test_others_are_refused_with_their_size_and_a_remedy(small_limit, tmp_path, content, size):
    (tmp_path / "a.png").write_bytes(content)
    message = error_of(load_image, tmp_path / "a.png")
    assert f"its {size} pixels would take" in message and "save it smaller" in message
    message = error_of(open_source, f"folder:{tmp_path}")
    assert "a.png" in message and size in message


def test_a_file_larger_than_any_image_within_the_limit_is_not_read(tmp_path, small_limit):
    write_images(tmp_path, ["a.png", "b.png"])
    source = open_source(f"folder:{tmp_path}")
    os.truncate(tmp_path / "b.png", 5 << 30)  # of zeros that take no room on the disk
    message = error_of(open_source, f"folder:{tmp_path}")
    assert "b.png (its file has 5,369 MB, and the limit is 67 MB" in message
    assert "(max_image_megapixels): save it smaller" in message
    assert open_source(f"folder:{tmp_path}", skip_broken=True).names == ["a.png"]
    assert "its file has 5,369 MB" in error_of(source.load, [1], 8)  # it grew meanwhile


def test_the_limit_is_a_setting_which_the_message_names(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # put back at the end
    monkeypatch.setattr(large_images, "_replaced", [])
    (tmp_path / "a.png").write_bytes(huge_png(1100, has_pixels=True))
    os.utime(tmp_path / "a.png", (1e9, 1e9))  # so that its check is kept
    data = DataSettings(data=f"folder:{tmp_path}", max_image_megapixels=2)
    assert len(open_train_and_held_out(data)[0]) == 1
    assert megapixel_limit() == 2
    message = error_of(open_train_and_held_out, replace(data, max_image_megapixels=1))
    assert "its 1,100 x 1,100 pixels" in message and "(max_image_megapixels)" in message
    assert len(open_train_and_held_out(data)[0]) == 1


def test_the_default_leaves_the_limit_that_was_set_in_pillow(small_limit, tmp_path):
    write_images(tmp_path, ["a.png"])
    open_train_and_held_out(DataSettings(data=f"folder:{tmp_path}"))
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_the_default_sets_back_the_limit_before_the_first_other_one(small_limit):
    for megapixels in (3, 2, MAX_MEGAPIXELS, MAX_MEGAPIXELS):
        limit_megapixels(megapixels)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_memory_is_bounded_whatever_a_file_claims(tmp_path):
    code = """
import io, resource, sys
from PIL import Image
Image.MAX_IMAGE_PIXELS = 200_000_000
Image.new("L", (20_000, 20_000), 99).save(sys.argv[1] + "/a.jpg")
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    (tmp_path / "b.png").write_bytes(huge_png(20_000, has_pixels=True))
    code = """
import sys
from and_tf.data import open_source
source = open_source("folder:" + sys.argv[1], skip_broken=True)
assert [name for name, _ in source.broken] == ["b.png"], source.broken
assert abs(int(source.load([0], 64).mean()) - 99) < 2
status = open("/proc/self/status").read()  # what getrusage says holds the parent's memory, too
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 900  # MB; decoded, they are 1,200 each
