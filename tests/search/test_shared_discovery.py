"""Processes that share discovery, here threads, all find what one finds."""

import numpy as np
import pytest
from helpers.replicas_in_threads import on_each

from and_tf.data import exchange
from and_tf.data.exchange import ALONE, gathered
from and_tf.search.neighbourhoods import discover
from and_tf.search.row_blocks import compare_rows
from and_tf.search.rows import unit_rows


def rows_of(count):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, 5)).astype("float32")
    rows[count // 2] = rows[1]  # equally near
    return rows


@pytest.mark.parametrize(("count", "block_size"), [(53, 7), (53, None), (9, 1)])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_all_find_the_same_as_one_alone(count, block_size, size, monkeypatch):
    monkeypatch.setattr(exchange, "BLOCK_BYTES", 200)  # several blocks to exchange
    rows = rows_of(count)
    alone = discover(rows, 3, 0.1, block_size)
    found, _ = on_each(size, lambda replica: discover(rows, 3, 0.1, block_size, sharing=replica))
    for of_process in found:
        np.testing.assert_array_equal(of_process.neighbours, alone.neighbours)
        np.testing.assert_allclose(of_process.entropy, alone.entropy, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(of_process.entropy, found[0].entropy)


def test_each_compares_a_part_of_the_pairs(monkeypatch):
    counts = []

    class Counting:
        def __init__(self, *_):
            self.done = 0

        def add(self, pairs):
            self.done += pairs

        def __enter__(self):
            return self

        def __exit__(self, *_):
            counts.append(self.done)

    monkeypatch.setattr("and_tf.search.neighbourhoods.PairProgress", Counting)
    on_each(4, lambda replica: discover(rows_of(160), 1, 0.1, 10, sharing=replica))
    assert counts == [160**2 // 4] * 4


def test_parts_of_rows_are_put_together_also_empty_ones(monkeypatch):
    monkeypatch.setattr(exchange, "BLOCK_BYTES", 16)
    rows = np.arange(12, dtype="int32").reshape(3, 4)
    starts = [0, 1, 3, 3, 3]

    def work(replica):
        start, stop = starts[replica.number : replica.number + 2]
        return gathered(replica, rows[start:stop], start, len(rows))

    for found in on_each(4, work)[0]:
        np.testing.assert_array_equal(found, rows)
    assert gathered(ALONE, rows, 0, 3) is rows


def test_no_rows_are_compared_with_all():
    entropy, neighbours = compare_rows(unit_rows(rows_of(9)), np.arange(0), 2, 0.1)
    assert entropy.shape == (0,) and neighbours.shape == (0, 2)
