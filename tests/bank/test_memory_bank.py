"""The bank: where it starts, what an update writes, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.memory_bank import MemoryBank
from and_tf.errors import UserError


@pytest.mark.parametrize("memory", ["unit", "init"])
def test_bank_update_equals_the_authors(golden, memory):
    arrays = golden("a_npc_criterion")
    bank = MemoryBank(500, 64, rate=0.5)
    bank.rows.assign(arrays["memory" if memory == "unit" else "memory_init_style"])
    bank.update(arrays["indexes"], arrays["features"])
    np.testing.assert_allclose(bank.rows, arrays[f"T0.1_{memory}_memory_after"], atol=1e-6)


def test_bank_starts_uniform_and_changes_only_the_rows_of_the_batch():
    bank = MemoryBank(2000, 128, seed=3)
    start = bank.rows.numpy()
    limit = (128 // 3) ** -0.5
    assert np.abs(start).max() <= limit
    assert abs(start.std() - limit / 3**0.5) < 1e-3
    bank.update(np.array([5, 1999]), np.eye(128, dtype="float32")[:2])
    changed = np.flatnonzero((bank.rows.numpy() != start).any(axis=1))
    assert changed.tolist() == [5, 1999]
    np.testing.assert_allclose(np.linalg.norm(bank.rows.numpy()[changed], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 1.5}, {"temperature": 0}, {"dim": 0}])
def test_bank_refuses_settings_out_of_range(wrong):
    with pytest.raises(UserError, match=str(next(iter(wrong.values())))):
        MemoryBank(**({"num_samples": 4, "dim": 4} | wrong))


def test_bank_keeps_its_settings_through_serialisation():
    bank = MemoryBank(10, 4, rate=0.3, temperature=0.07, seed=1)
    again = keras.layers.deserialize(keras.layers.serialize(bank))
    assert again.get_config() == bank.get_config()


def test_both_ways_to_update_write_the_same_rows():
    ours, theirs = MemoryBank(30, 4, seed=0), MemoryBank(30, 4, seed=0)
    indices, embeddings = tf.constant([3, 29, 7]), tf.random.normal((3, 4), seed=1)
    compiled = tf.function(ours.updated_rows, jit_compile=True)
    ours.write(*compiled(indices, embeddings, tf.constant(True)))
    theirs.update(indices, embeddings)
    np.testing.assert_allclose(ours.rows, theirs.rows, atol=1e-6)
    before = ours.rows.numpy()
    ours.write(*compiled(indices, embeddings, tf.constant(False)))  # a step that is not finite
    np.testing.assert_array_equal(ours.rows, before)
