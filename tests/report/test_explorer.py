"""Which images the explorer and the map show, and where they lie in the sheet."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from and_tf.data.sources.source import array_source
from and_tf.report.explorer import NEIGHBOURS, POOL, choose_pool
from and_tf.report.map_points import choose_rows
from and_tf.report.sample import Sample, nearest_others
from and_tf.report.thumbnails import SHEET_BYTES, sheet, sheet_side


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


def test_the_pool_spreads_over_classes_and_their_entropies():
    rng = np.random.default_rng(0)
    labels, entropy = np.repeat([0, 1, 2, 3], 250), rng.uniform(0, 5, 1000)
    pool = choose_pool(labels, entropy, most=80)
    assert len(set(pool)) == 80
    assert np.all(np.diff(entropy[pool]) >= 0)
    assert np.array_equal(np.bincount(labels[pool]), [20] * 4)
    for label in range(4):
        chosen = entropy[pool[labels[pool] == label]]
        assert np.histogram(chosen, 5, (0, 5))[0].min() >= 2
    assert np.array_equal(choose_pool(labels[:7], entropy[:7]), np.argsort(entropy[:7]))


def test_the_map_holds_the_pool_first_and_no_image_twice():
    pool = np.array([5, 900, 17])
    rows = choose_rows(pool, 1000, most=100)
    assert list(rows[:3]) == [5, 900, 17] and len(set(rows)) == 100 and rows.max() > 950
    assert sorted(choose_rows(pool, 1000, most=2000)) == list(range(1000))
    assert list(choose_rows(pool, 1000, most=2)) == [5, 900, 17]


def test_an_image_is_not_its_own_neighbour_even_beside_copies():
    embeddings = np.eye(6, dtype=np.float32)[[0, 0, 0, 1, 2, 3]]
    source = array_source(np.zeros((6, 8, 8, 3), np.uint8))
    sample = Sample(source, np.arange(6), embeddings)
    found, cosines = nearest_others(sample, np.array([2, 0, 4]), most=8)
    assert found.shape == (3, 5)
    assert sorted(found[0][:2]) == [0, 1] and sorted(found[1][:2]) == [1, 2]
    assert all(row not in near for row, near in zip([2, 0, 4], found, strict=True))
    np.testing.assert_allclose(cosines[0], [1, 1, 0, 0, 0], atol=1e-6)


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
