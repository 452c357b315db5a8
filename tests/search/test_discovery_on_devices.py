"""The devices of one process share discovery where TensorFlow compares the rows."""

import collections

import numpy as np
import pytest
from helpers.replicated_training import build

from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
from and_tf.search import row_blocks
from and_tf.search.neighbourhoods import discover
from and_tf.search.row_blocks import compare_rows
from and_tf.search.rows import unit_rows

DEVICES = ["CPU:0", "CPU:1"]


@pytest.fixture
def compared(monkeypatch):
    """How many rows each device has compared with all."""
    counts, compare_block = collections.Counter(), row_blocks._compare_block

    def counted(rows, queries, *others):
        assert rows.device == queries.device
        counts[rows.device[-5:]] += len(queries)
        return compare_block(rows, queries, *others)

    monkeypatch.setattr(row_blocks, "_compare_block", counted)
    return counts


def rows_of(count):
    return unit_rows(np.random.default_rng(0).normal(size=(count, 5)).astype("float32"))


@pytest.mark.parametrize(("block_size", "by_device"), [(7, (32, 28)), (60, (60, 0))])
def test_devices_take_turns_at_the_blocks(compared, block_size, by_device):
    rows, settings = rows_of(60), (np.arange(60), 4, 0.07, block_size)
    entropy, neighbours = compare_rows(rows, *settings, devices=DEVICES)
    assert (compared["CPU:0"], compared["CPU:1"]) == by_device
    alone, neighbours_alone = compare_rows(rows, *settings)
    np.testing.assert_allclose(entropy, alone, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(neighbours, neighbours_alone)


def test_the_devices_of_the_strategy_share_the_discovery_of_a_round(
    compared, two_replicas, monkeypatch
):
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 0)  # blocks of the fewest rows
    model = build(two_replicas, 21, "dense")
    curriculum = NeighbourhoodCurriculum(rounds=2, epochs_per_round=2, precision="float16")
    curriculum.set_model(model)
    curriculum.set_params({})
    curriculum.on_epoch_begin(2)
    assert compared == {"CPU:0": row_blocks.FEWEST, "CPU:1": 21 - row_blocks.FEWEST}
    expected = discover(model.bank.read_all(), 2, precision="float16")
    np.testing.assert_array_equal(model.neighbours.numpy(), expected.neighbours)
    np.testing.assert_allclose(model.entropy.numpy(), expected.entropy, rtol=1e-6, atol=1e-6)
