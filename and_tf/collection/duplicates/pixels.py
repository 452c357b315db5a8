"""Whether two thumbnails show the same picture, when one is overlaid on the other.

One may be rotated, cropped and shifted. A candidate costs little, so that an encoder or a hash may
propose many: its place is searched for coarsely, and refined only if that looks promising.
"""

import numpy as np

from and_tf.collection.duplicates.coarse_search import find_place
from and_tf.collection.duplicates.refinement import refined_agreement
from and_tf.data.workers import thread_pool

COARSE_AGREEMENT = 0.7  # pairs that agree less in the coarse search are not refined
FLAT = 3.0  # standard deviation in grey levels below which a picture shows nothing to compare
SAME_COLOUR = 6.0  # grey levels
BLOCK = 64  # pairs at once in a thread: they stay in its cache


def agreement(thumbnails: np.ndarray, aspects: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """How well the pixels of pairs of images agree where one is overlaid on the other.

    Args:
        thumbnails: (N, SIDE, SIDE, 3) uint8, each of a whole image, stretched to a square.
        aspects: (N,) float, width over height of the images.
        pairs: (P, 2) int, indices of images.

    Returns:
        (P,) float32, up to 1: the correlation of the colours minus the local mean around each
        pixel. Without subtracting it, any two light shirts on a dark background agree.
    """
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]

    def compare(block: np.ndarray) -> np.ndarray:
        return _agreement(thumbnails, aspects, block)

    found = list(thread_pool().map(compare, blocks)) if len(blocks) > 1 else map(compare, blocks)
    return np.concatenate([*found, np.empty(0, np.float32)])


def _agreement(thumbnails: np.ndarray, aspects: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    first, second = thumbnails[pairs[:, 0]], thumbnails[pairs[:, 1]]
    found = find_place(first, second, aspects[pairs])
    swapped = find_place(second, first, aspects[pairs[:, ::-1]])
    is_swapped = swapped.score > found.score
    whole = np.where(is_swapped[:, None, None, None], second, first)
    part = np.where(is_swapped[:, None, None, None], swapped.part, found.part)
    box = np.where(is_swapped[:, None], swapped.box, found.box)
    score = np.maximum(found.score, swapped.score)
    shapes = np.stack([aspects[pairs][:, 0], found.aspect], axis=1)  # (P, 2) of whole and part
    other = np.stack([aspects[pairs][:, 1], swapped.aspect], axis=1)
    shapes = np.where(is_swapped[:, None], other, shapes)
    rows = np.flatnonzero(score >= COARSE_AGREEMENT)
    result = np.full(len(pairs), -1, np.float32)
    if len(rows):
        result[rows] = refined_agreement(whole[rows], part[rows], box[rows], shapes[rows])
    return np.where(_is_flat(first) | _is_flat(second), _flat_agreement(first, second), result)


def _is_flat(images: np.ndarray) -> np.ndarray:
    return images.std(axis=(1, 2)).max(axis=1) < FLAT


def _flat_agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 where both pictures are plain and have the same colour, else 0."""
    difference = np.abs(first.mean(axis=(1, 2)) - second.mean(axis=(1, 2))).max(axis=1)
    both = _is_flat(first) & _is_flat(second)
    return (both & (difference < SAME_COLOUR)).astype(np.float32)
