"""All pairs of bit vectors, such as hashes, that differ in few bits."""

from __future__ import annotations

import importlib.util

import numpy as np

from and_tf.search.faiss_index import import_faiss
from and_tf.search.native import call_natively
from and_tf.search.pairs_above import pairs_above

BLOCK = 1024  # rows whose partners are searched at once


def bits_within(
    rows: np.ndarray, others: np.ndarray, largest: int, max_pairs: int | None = None
) -> np.ndarray:
    """Finds every pair first < second for which `rows[first]` and `others[second]` differ little.

    The search is exact and compares all pairs: by counting bits in `faiss` if it is installed,
    otherwise by matrix products, which take longer.

    Args:
        rows: (N, B) bool; faiss is used where 8 divides B.
        others: (N, B) bool.
        largest: how many bits may differ.
        max_pairs: how many pairs to keep, those that differ least; None for all.

    Returns:
        (P, 2) int64, sorted by the number of bits that differ, then by first, then by second.
    """
    if rows.shape[1] % 8 or importlib.util.find_spec("faiss") is None:
        lowest = 1 - 2 * largest / max(rows.shape[1], 1) - 1e-6
        return pairs_above(_signs(rows), lowest, _signs(others), max_pairs=max_pairs).pairs
    return _by_faiss(np.packbits(rows, axis=1), np.packbits(others, axis=1), largest, max_pairs)


def _signs(rows: np.ndarray) -> np.ndarray:
    """Bits as 1 and -1, (N, B) int8: the cosine is 1 - 2 x the fraction of bits that differ."""
    return np.where(rows, 1, -1).astype(np.int8)


def _by_faiss(
    rows: np.ndarray, others: np.ndarray, largest: int, max_pairs: int | None
) -> np.ndarray:
    """The pairs of packed rows (N, B / 8) uint8."""
    index = import_faiss().IndexBinaryFlat(8 * rows.shape[1])
    index.add(others)
    pairs, distances = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        limits, found, second = call_natively(index.range_search, block, largest + 1)
        first = start + np.repeat(np.arange(len(block)), np.diff(limits.astype(np.int64)))
        is_pair = first < second
        new = np.stack([first, second], axis=1)[is_pair]
        pairs = np.concatenate([pairs, new])
        distances = np.concatenate([distances, found[is_pair].astype(np.int64)])
        if max_pairs is not None and len(pairs) > 2 * max_pairs:
            pairs, distances = _closest(pairs, distances, max_pairs)
            largest = int(distances[-1])
    return _closest(pairs, distances, max_pairs)[0]


def _closest(
    pairs: np.ndarray, distances: np.ndarray, max_pairs: int | None
) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((pairs[:, 1], pairs[:, 0], distances))[:max_pairs]
    return pairs[order], distances[order]
