"""Pairs of hashes that differ in few bits, by counting and by products."""

import importlib.util

import numpy as np
import pytest

from and_tf.search import bits_within as module
from and_tf.search.bits_within import bits_within


def naive(rows, others, largest):
    """Pairs by comparing every two rows, those that differ least first."""
    distances = (rows[:, None] != others[None]).sum(axis=2)
    found = [
        (distances[first, second], first, second)
        for first in range(len(rows))
        for second in range(first + 1, len(rows))
        if distances[first, second] <= largest
    ]
    return [[first, second] for _, first, second in sorted(found)]


@pytest.mark.parametrize(("has_faiss", "bits"), [(True, 16), (False, 16), (True, 13)])
def test_all_pairs_are_found_and_no_others(monkeypatch, has_faiss, bits):
    if has_faiss:
        pytest.importorskip("faiss")
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "BLOCK", 7)  # does not divide 40
    draw = np.random.default_rng(0)
    rows, others = (draw.random((40, bits)) < 0.5 for _ in range(2))
    expected = naive(rows, others, 4)
    assert len(expected) > 10
    assert sorted(bits_within(rows, others, 4).tolist()) == sorted(expected)
    if bits == 16:  # cosines of 13 bits are rounded, and ties are not in order
        assert bits_within(rows, others, 4).tolist() == expected
        assert bits_within(rows, others, 4, max_pairs=5).tolist() == expected[:5]
    assert bits_within(rows[:1], others[:1], 4).tolist() == []
