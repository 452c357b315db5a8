"""Pixels agree for edited copies and for nothing else."""

import numpy as np
import pytest
from helpers.edited_photos import EDITS, scene
from PIL import Image

from and_tf.collection.duplicates.coarse_search import SIDE
from and_tf.collection.duplicates.pairs import AGREEMENT
from and_tf.collection.duplicates.pixels import agreement


def compared(first, second):
    """The agreement of two PIL images, and that of the two exchanged."""
    small = [image.resize((SIDE, SIDE), Image.Resampling.BOX) for image in (first, second)]
    aspects = np.array([image.width / image.height for image in (first, second)])
    return agreement(np.array([np.asarray(s) for s in small]), aspects, np.array([[0, 1], [1, 0]]))


@pytest.mark.parametrize("name", EDITS)
def test_edited_copies_agree_in_both_orders(name):
    for seed in range(3):
        image = scene(seed)
        assert compared(image, EDITS[name](image)).min() >= AGREEMENT


def test_different_pictures_do_not_agree():
    images = [scene(seed).resize((SIDE, SIDE)) for seed in range(12)]
    pairs = np.argwhere(np.triu(np.ones((12, 12)), 1))
    values = agreement(np.array([np.asarray(i) for i in images]), np.full(12, 0.75), pairs)
    assert values.shape == (66,) and values.max() < AGREEMENT - 0.1


def test_the_same_shape_in_another_colour_does_not_agree():
    draw = np.random.default_rng(0)
    shape = np.kron(draw.integers(0, 2, (8, 8)), np.ones((12, 12)))[..., None]
    red, blue = (
        Image.fromarray((255 - shape * (255 - np.array(colour))).astype(np.uint8))
        for colour in ((220, 30, 30), (30, 30, 220))
    )
    assert compared(red, red).min() >= 0.999 and compared(red, blue).max() < AGREEMENT


def test_pictures_of_one_colour_agree_only_where_it_is_the_same():
    black, also_black, white = (
        Image.new("RGB", (60, 40), value) for value in ("black", "#020202", "white")
    )
    assert compared(black, also_black).tolist() == [1, 1]
    assert compared(black, white).tolist() == [0, 0]
    assert compared(black, scene(0)).tolist() == [0, 0]


def test_no_pairs():
    assert agreement(
        np.zeros((2, SIDE, SIDE, 3), np.uint8), np.ones(2), np.empty((0, 2), int)
    ).shape == (0,)
