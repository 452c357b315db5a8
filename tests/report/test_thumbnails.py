"""Where images lie in the sheet, and how large it may become."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from and_tf.report.sections.explorer import NEIGHBOURS, POOL
from and_tf.report.thumbnails import SHEET_BYTES, sheet, sheet_side


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


@pytest.mark.parametrize(("size", "side"), [(8, 8), (16, 16), (28, 32), (32, 32), (33, 64)])
def test_tiles_are_whole_blocks_of_jpeg(size, side):
    assert sheet_side(size) == side


def test_every_image_lies_at_its_place_in_the_sheet():
    values = np.arange(7) * 36
    images = np.broadcast_to(values[:, None, None, None], (7, 16, 16, 3)).astype(np.uint8)
    uri, columns = sheet(images)
    pixels = np.asarray(opened(uri)).astype(int)
    assert columns == 3 and pixels.shape == (48, 48, 3)
    for i, value in enumerate(values):
        top, left = 16 * (i // 3), 16 * (i % 3)
        tile = pixels[top : top + 16, left : left + 16]
        assert np.abs(tile - value).max() <= 2, i  # no bleeding from the tiles around it


def test_even_a_sheet_of_noise_leaves_room_on_a_page_of_ten_megabytes():
    most = POOL * (1 + NEIGHBOURS)  # tiles, where no neighbour is shared
    images = np.random.default_rng(0).integers(0, 256, (most, 64, 64, 3), dtype=np.uint8)
    assert len(sheet(images)[0]) < 6_000_000
    photos = images // 64 * 16 + np.arange(64, dtype=np.uint8)[:, None]
    assert len(sheet(photos)[0]) <= SHEET_BYTES * 4 / 3 + 100
