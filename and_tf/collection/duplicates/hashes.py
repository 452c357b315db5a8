"""Perceptual hashes: images that differ only in format, size, quality, light or orientation."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from and_tf.data.progress import progress_bar
from and_tf.errors import MissingPackage
from and_tf.search.bits_within import bits_within

HASH_SIDE = 16  # 256 bits; 64 bits confuse photos of the same kind of thing
# Bits that may differ between candidates, whose pixels are compared next. Turned copies differ by
# up to 32 because their hashes are calculated, copies of another quality by up to 22.
LARGEST_DISTANCE = 56
TURNS = 8  # orientations: rotations and mirror images
CANDIDATES_PER_IMAGE = 4  # for each of the eight orientations, on average


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """Signs (HASH_SIDE, HASH_SIDE) bool of the lowest frequencies of an image, by `imagehash`.

    Raises:
        MissingPackage: without imagehash.
    """
    try:
        from imagehash import phash
    except ImportError as error:
        raise MissingPackage("Near-duplicates need imagehash: `pip install imagehash`.") from error
    return phash(image, hash_size=HASH_SIDE).hash


def turned_hashes(hashes: np.ndarray) -> Iterator[np.ndarray]:
    """The hashes (N, H, H) that images would have in each of the eight orientations.

    Mirroring changes the sign of every second frequency of the cosine transform, and a transposed
    image has a transposed transform. Compared with hashes of images that were actually turned, the
    median difference is 1 % of the bits and the largest 12 % (1,200 photos), because `imagehash`
    compares with the median of the frequencies, which is not quite 0.
    """
    alternate = np.arange(hashes.shape[1]) % 2 == 1
    for turned in (hashes, hashes.swapaxes(1, 2)):
        for upside_down in (turned, turned ^ alternate[:, None]):
            yield upside_down
            yield upside_down ^ alternate


def hash_candidates(hashes: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) int of images, first < second, that may be the same in some orientation.

    Args:
        hashes: (N, HASH_SIDE, HASH_SIDE) bool.
    """
    limit = CANDIDATES_PER_IMAGE * max(len(hashes), 1)
    bits = HASH_SIDE * HASH_SIDE
    rows = hashes.reshape(-1, bits)
    found = []
    with progress_bar(TURNS, "comparing perceptual hashes", "turn") as bar:
        for turned in turned_hashes(hashes):
            found.append(bits_within(rows, turned.reshape(-1, bits), LARGEST_DISTANCE, limit))
            bar.update()
    return np.unique(np.concatenate(found), axis=0)
