"""Pairs of near-duplicates: equal bytes, or proposed by hash or encoder and decided by pixels."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.hashes import hash_candidates
from and_tf.collection.duplicates.pixels import agreement
from and_tf.collection.duplicates.threshold import proposal_threshold
from and_tf.collection.pictures import Pictures, original_source, pixel_checksum
from and_tf.data.manifest import manifest
from and_tf.data.sources.source import ArraySource, Source
from and_tf.data.workers import thread_pool
from and_tf.search.pairs_above import pairs_above
from and_tf.search.rows import unit_rows

# Lowest correlation of the details of near-duplicates. On the photos on which it was chosen, edited
# copies had at least 0.87, and the most similar different photos 0.83.
AGREEMENT = 0.85
PROPOSALS_PER_IMAGE = 2  # by the encoder, on average: comparing pixels takes 10 ms per pair
REASONS = ("identical", "perceptual hash", "encoder")  # strongest first


class Pair(NamedTuple):
    """Two images, first < second.

    Attributes:
        first, second: indices.
        similarity: cosine of their embeddings.
        reason: one of `REASONS`.
    """

    first: int
    second: int
    similarity: float
    reason: str = "encoder"


def find_pairs(
    collection: Collection, pictures: Pictures, threshold: float = 0
) -> tuple[list[Pair], float, np.ndarray]:
    """Near-duplicates of a collection, in three passes.

    Args:
        collection: images, embeddings and neighbours.
        pictures: the same images, small.
        threshold: cosine from which pairs are near-duplicates by the encoder alone; 0: chosen for
            the collection, and only pairs whose pixels agree count.

    Returns:
        The pairs, most similar first; the threshold; and the cosines (R,) of the compared pairs
        above it whose pixels do not agree.
    """
    found = dict.fromkeys(identical_bytes(collection.source), REASONS[0])
    candidates = hash_candidates(pictures.hashes)
    for pair in _as_pairs(candidates[agrees(pictures, candidates)]):
        found.setdefault(pair, REASONS[1])
    found |= dict.fromkeys(_identical_pixels(collection.source, pictures, found), REASONS[0])
    is_given = threshold > 0
    if not is_given:
        known = components(len(collection), np.array([*found], int).reshape(-1, 2))
        threshold = proposal_threshold(collection.neighbours, collection.similarity, known)
    limit = None if is_given else PROPOSALS_PER_IMAGE * len(collection)
    proposed = pairs_above(collection.embeddings, threshold, max_pairs=limit, progress=True)
    is_new = np.array([pair not in found for pair in _as_pairs(proposed.pairs)], bool)
    candidates, similarity = proposed.pairs[is_new], proposed.similarity[is_new]
    compared = candidates[: PROPOSALS_PER_IMAGE * len(collection)]
    is_same = agrees(pictures, compared)
    found |= dict.fromkeys(_as_pairs(candidates if is_given else compared[is_same]), REASONS[2])
    return (
        _with_similarity(found, collection.embeddings),
        threshold,
        similarity[: len(compared)][~is_same],
    )


def agrees(pictures: Pictures, pairs: np.ndarray) -> np.ndarray:
    """Whether the pixels of pairs (P, 2) of images agree, (P,) bool."""
    return agreement(pictures.thumbnails, pictures.aspects, pairs) >= AGREEMENT


def components(count: int, pairs: np.ndarray) -> np.ndarray:
    """The number of the connected component of each of `count` images; pairs are (P, 2)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    return connected_components(edges, directed=False)[1]


def identical_bytes(source: Source) -> list[tuple[int, int]]:
    """Pairs of images whose encoded bytes are equal, each image with the first of its kind."""
    images = original_source(source)
    files = manifest(images)
    items = images.images if isinstance(images, ArraySource) else images.items
    keys = list(zip(files.sizes.tolist(), files.checksums.tolist(), strict=True))
    return _equal(keys, range(len(keys)), lambda row: _digest(items[row]))


def _digest(item: str | bytes | np.ndarray) -> str:
    if isinstance(item, str):
        with open(item, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(np.ascontiguousarray(item).data).hexdigest()


def _identical_pixels(
    source: Source, pictures: Pictures, pairs: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Pairs of images whose decoded pixels are equal, among those in `pairs` with equal hashes."""
    images = original_source(source)
    keys = [
        (*shape, bits.tobytes())
        for shape, bits in zip(pictures.shapes.tolist(), pictures.hashes, strict=True)
    ]
    equal = [pair for pair in pairs if keys[pair[0]] == keys[pair[1]]]
    rows = sorted({row for pair in equal for row in pair})
    return _equal(keys, rows, lambda row: pixel_checksum(pictures, images, row))


def _equal(
    keys: Sequence[Hashable], rows: Iterable[int], checksum: Callable[[int], str]
) -> list[tuple[int, int]]:
    """Rows with equal keys and equal checksums, each paired with the first of them.

    Args:
        keys: of all rows, cheap; only rows that share theirs get a checksum.
        rows: those to compare, ascending.
        checksum: computes that of a row.
    """
    by_key: dict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        by_key[keys[row]].append(row)
    shared = [row for group in by_key.values() if len(group) > 1 for row in group]
    checksums = dict(zip(shared, thread_pool().map(checksum, shared), strict=True))
    first: dict[Hashable, int] = {}
    found = []
    for row in shared:
        start = first.setdefault((keys[row], checksums[row]), row)
        if start != row:
            found.append((start, row))
    return found


def _as_pairs(pairs: np.ndarray) -> list[tuple[int, int]]:
    return [(first, second) for first, second in pairs.tolist()]


def _with_similarity(found: dict[tuple[int, int], str], embeddings: np.ndarray) -> list[Pair]:
    """The pairs with their cosines, most similar first, then by index."""
    if not found:
        return []
    rows = np.array([*found])  # (P, 2)
    unit = [unit_rows(embeddings[column]) for column in rows.T]
    cosines = np.clip(np.einsum("pd,pd->p", *unit), -1, 1)
    pairs = [
        Pair(first, second, float(cosine), reason)
        for ((first, second), reason), cosine in zip(found.items(), cosines, strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))
