"""Rows that no process holds all of, here threads, have the neighbourhoods that one finds."""

import math

import numpy as np
import pytest
from helpers.replicas_in_threads import on_each

from and_tf.data.exchange import ALONE
from and_tf.errors import UserError
from and_tf.search import all_pairs, in_blocks
from and_tf.search.all_pairs import comes_first
from and_tf.search.in_blocks import WholeRows, discover_in_blocks
from and_tf.search.neighbourhoods import discover

N, D = 53, 5


def rows_of(count=N):
    rows = np.random.default_rng(0).normal(size=(count, D)).astype("float32")
    rows[count // 2] = rows[1]  # equally near
    rows[-1] = 0
    return rows


class Shards:
    """Rows i with i mod R = r of each process, as a bank in parts keeps them."""

    def __init__(self, rows, sharing):
        self.shape, self.sharing, self.largest = rows.shape, sharing, 0
        self.own = rows[sharing.number :: sharing.size].copy()

    def read(self, rows):
        found = np.zeros((rows.stop - rows.start, D), "float32")
        first = (self.sharing.number - rows.start) % self.sharing.size
        place = (rows.start + first) // self.sharing.size
        own = found[first :: self.sharing.size]
        own[:] = self.own[place : place + len(own)]
        self.largest = max(self.largest, len(found))
        return self.sharing.total(found)


class Kept:
    """Blocks in memory; after some of them the process is killed."""

    def __init__(self, lasts=None):
        self.blocks, self.settings, self.lasts, self.read_blocks = {}, None, lasts, 0

    def begin(self, settings):
        if settings != self.settings:
            self.blocks = {}
        self.settings = settings

    def read(self, rows, shape):
        assert shape == (N, 3)
        found = self.blocks.get((rows.start, rows.stop))
        self.read_blocks += found is not None
        return found

    def keep(self, rows, entropy, neighbours):
        if len(self.blocks) == self.lasts:
            raise KeyboardInterrupt
        self.blocks[rows.start, rows.stop] = entropy.copy(), neighbours.copy()


def assert_equal(found, expected):
    np.testing.assert_array_equal(found.neighbours, expected.neighbours)
    assert found.neighbours.dtype == np.int32 and found.entropy.dtype == np.float32
    np.testing.assert_allclose(found.entropy, expected.entropy, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize(("block_size", "count"), [(7, 53), (None, 53), (1, 9)])
def test_each_process_has_its_rows_and_all_find_what_one_does(size, block_size, count):
    rows = rows_of(count)
    alone = discover(rows, 3, 0.1, block_size)

    def work(replica):
        source = Shards(rows, replica)
        return discover_in_blocks(source, 3, 0.1, block_size, sharing=replica), source.largest

    for found, largest in on_each(size, work)[0]:
        assert_equal(found, alone)
        if block_size:  # a block of another process, and no more than its part
            num_blocks = math.ceil(count / block_size)
            assert largest <= math.ceil(num_blocks / size) * block_size


def test_what_is_gathered_at_once_keeps_to_its_budget(monkeypatch):
    monkeypatch.setattr(in_blocks, "BLOCK_BYTES", 14 * 4 * D)

    def work(replica):
        source = Shards(rows_of(), replica)
        discover_in_blocks(source, 3, 0.1, block_size=7, sharing=replica)
        return source.largest

    assert on_each(2, work)[0] == [14, 14]


def test_devices_find_what_the_cpu_does(monkeypatch, two_replicas):
    devices = [f"CPU:{number}" for number in range(2)]
    monkeypatch.setattr(in_blocks, "_devices", lambda *settings: devices)
    rows = rows_of()
    rows[N // 2] += 0.1  # none are equally near, whose order rounding decides
    found, _ = on_each(
        2, lambda replica: discover_in_blocks(Shards(rows, replica), 3, 0.1, 7, sharing=replica)
    )
    for of_process in found:
        assert_equal(of_process, discover(rows, 3, 0.1))


@pytest.mark.parametrize("size", [1, 2])
def test_a_discovery_that_was_killed_goes_on_with_the_blocks_that_are_missing(monkeypatch, size):
    monkeypatch.setattr(in_blocks, "BLOCK_BYTES", 7 * 4 * D)
    rows, kept, counts = rows_of(), Kept(), []
    whole = discover_in_blocks(WholeRows(rows), 3, 0.1, 7, kept=kept)
    number = len(kept.blocks)
    assert number == 8
    stopped = Kept(lasts=5)
    with pytest.raises(KeyboardInterrupt):
        discover_in_blocks(WholeRows(rows), 3, 0.1, 7, kept=stopped)
    stopped.lasts = None
    compare = in_blocks.PartOnCpu.compare
    monkeypatch.setattr(in_blocks.PartOnCpu, "compare", lambda *a: counts.append(1) or compare(*a))
    found, _ = on_each(
        size,
        lambda replica: discover_in_blocks(
            WholeRows(rows), 3, 0.1, 7, sharing=replica, kept=stopped
        ),
    )
    assert len(counts) == 3 * size and stopped.read_blocks == 5
    for of_process in found:
        assert_equal(of_process, whole)
        if size == 1:
            np.testing.assert_array_equal(of_process.entropy, whole.entropy)
    for key, values in kept.blocks.items():
        np.testing.assert_array_equal(stopped.blocks[key][1], values[1])


def test_blocks_of_other_rows_or_settings_are_not_taken():
    rows, kept = rows_of(), Kept()
    discover_in_blocks(WholeRows(rows), 3, 0.1, 7, kept=kept)
    for other_rows, temperature in ((rows, 0.2), (-rows[::-1], 0.2)):
        found = discover_in_blocks(WholeRows(other_rows), 3, temperature, 7, kept=kept)
        assert kept.read_blocks == 0
        assert_equal(found, discover(other_rows, 3, temperature, 7))


def test_rows_that_are_not_finite_are_named_by_all():
    rows = rows_of()
    rows[40, 2] = np.nan

    def work(replica):
        with pytest.raises(UserError, match="first index 40"):
            discover_in_blocks(Shards(rows, replica), 3, 0.1, 7, sharing=replica)

    on_each(2, work)


@pytest.mark.parametrize("num_blocks", range(1, 10))
def test_pairs_come_in_the_order_of_the_rounds(num_blocks):
    pairs = [pair for of_round in all_pairs._rounds(num_blocks) for pair in of_round]
    for first, second in pairs:
        assert comes_first(first, second, num_blocks)
        assert first == second or not comes_first(second, first, num_blocks)


def test_settings_are_checked():
    for wrong in ({"neighbourhood_size": N}, {"temperature": 0}, {"precision": "float8"}):
        with pytest.raises(UserError):
            discover_in_blocks(WholeRows(rows_of()), sharing=ALONE, **wrong)
