"""Hashes of turned images follow from those of upright ones."""

import numpy as np
from helpers.edited_photos import EDITS, scene

from and_tf.collection.duplicates.hashes import (
    LARGEST_DISTANCE,
    hash_candidates,
    perceptual_hash,
    turned_hashes,
)

TURNS = ("mirrored", "upside_down", "half_turn", "transposed", "left", "right")


def test_a_turned_image_has_one_of_the_turned_hashes():
    for seed in range(4):
        image = scene(seed)
        turned = np.array(list(turned_hashes(perceptual_hash(image)[None])))  # (8, 1, 16, 16)
        for name in TURNS:
            found = perceptual_hash(EDITS[name](image))
            distances = (turned != found).sum(axis=(1, 2, 3))
            assert distances.min() <= LARGEST_DISTANCE / 2
            assert (distances <= LARGEST_DISTANCE).sum() == 1  # and of no other turn


def test_copies_are_candidates_and_strangers_are_not():
    images = [scene(seed) for seed in range(8)]
    copies = [EDITS[name](images[0]) for name in (*TURNS, "half", "brighter")]
    hashes = np.array([perceptual_hash(image) for image in images + copies])
    found = {tuple(pair) for pair in hash_candidates(hashes).tolist()}
    assert {(0, row) for row in range(8, 8 + len(copies))} <= found
    assert not [pair for pair in found if pair[0] > 0 and pair[0] < 8]
