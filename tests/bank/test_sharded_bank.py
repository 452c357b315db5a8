"""A bank in parts holds, starts and updates the rows of a whole one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank import sharded_bank
from and_tf.bank.memory_bank import MemoryBank
from and_tf.bank.sharded_bank import ShardedBank, start_in_blocks
from and_tf.bank.shards import shard_size
from and_tf.errors import UserError

D = 6


def bank(strategy, num_samples=21, **settings):
    with strategy.scope():
        return ShardedBank(num_samples, D, seed=3, **settings)


def parts(two_replicas, sharded):
    return [part.numpy() for part in two_replicas.experimental_local_results(sharded.part)]


@pytest.mark.parametrize("num_samples", [21, 20, 1])
@pytest.mark.parametrize("rows_dtype", ["float32", "float16"])
def test_it_starts_as_the_whole_bank_bit_for_bit(two_replicas, num_samples, rows_dtype):
    found = bank(two_replicas, num_samples, rows_dtype=rows_dtype)
    expected = MemoryBank(num_samples, D, seed=3, rows_dtype=rows_dtype).rows.numpy()
    np.testing.assert_array_equal(found.read_all(), expected)
    assert found.read_all().dtype == rows_dtype
    for number, part in enumerate(parts(two_replicas, found)):
        assert part.shape == (shard_size(num_samples, 2), D)
        own = expected[number::2]
        np.testing.assert_array_equal(part[: len(own)], own)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, None])
@pytest.mark.parametrize("dim", [5, 8])
def test_the_start_is_drawn_in_blocks(monkeypatch, seed, dim):
    monkeypatch.setattr(sharded_bank, "BLOCK_BYTES", 100)  # 4 rows at once
    start = keras.initializers.RandomUniform(-0.3, 0.3, seed=seed)
    blocks = list(start_in_blocks(start, 30, dim))
    assert [first for first, _ in blocks] == list(range(0, 30, 4))
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in blocks]), start((30, dim)))


def test_rows_that_are_given_lie_where_they_belong(two_replicas):
    found, rows = bank(two_replicas), np.arange(21 * D, dtype="float32").reshape(21, D)
    rows[3] = -0.0
    found.assign_all(rows)
    np.testing.assert_array_equal(found.read_all().view("int32"), rows.view("int32"))
    found.assign_rows(5, -rows[5:8])
    rows[5:8] *= -1
    np.testing.assert_array_equal(found.read_all(), rows)
    with pytest.raises(ValueError, match=r"\(21, 6\)"):
        found.assign_all(rows[:20])


@pytest.mark.parametrize("indices", [[20, 3, 3, 7], [4], []])
def test_some_rows_are_those_of_all(two_replicas, indices):
    indices = np.array(indices, "int64")
    for made in (bank(two_replicas), MemoryBank(21, D, seed=3)):
        np.testing.assert_array_equal(made.read_rows(indices), made.read_all()[indices])


@pytest.mark.parametrize("rows_dtype", ["float32", "float16"])
def test_an_update_moves_the_rows_of_all_replicas_on_their_owners(two_replicas, rows_dtype):
    sharded = bank(two_replicas, rows_dtype=rows_dtype)
    whole = MemoryBank(21, D, seed=3, rows_dtype=rows_dtype)
    indices = np.array([[20, 3, 7], [0, 11, 5]])
    embeddings = np.random.default_rng(0).normal(size=(2, 3, D)).astype("float32")

    @tf.function
    def update():
        def on_replica():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            sharded.update(tf.gather(indices, number), tf.gather(embeddings, number))

        two_replicas.run(on_replica)

    update()
    whole.update(indices.ravel(), embeddings.reshape(6, D))
    np.testing.assert_array_equal(sharded.read_all(), whole.rows.numpy())


def test_a_checkpoint_sees_all_rows(two_replicas):
    sharded, whole = bank(two_replicas), MemoryBank(21, D, seed=9)
    assert sharded.stored.shape == (21, D) and sharded.stored.dtype == "float32"
    sharded.stored.assign(whole.stored.numpy())
    np.testing.assert_array_equal(sharded.stored.numpy(), whole.rows.numpy())


@pytest.mark.parametrize("rows_at_once", [4, 100])
def test_a_process_gives_its_rows_without_keeping_the_whole(
    two_replicas, monkeypatch, rows_at_once
):
    sharded, given = bank(two_replicas), []
    both = list(sharded._own_parts())
    monkeypatch.setattr(
        sharded_bank,
        "row_blocks",
        lambda rows: [slice(s, min(s + rows_at_once, 21)) for s in range(0, 21, rows_at_once)],
    )
    for number, part in both:  # as if each had a process of its own
        blocks = []
        with monkeypatch.context() as patch:
            patch.setattr(sharded, "own_numbers", (number,))
            patch.setattr(sharded, "_own_parts", lambda own=(number, part): iter([own]))
            patch.setattr(sharded, "_of_all_processes", blocks.append)
            sharded.give_parts()
        given.append(np.concatenate(blocks))
    assert max(map(len, blocks)) <= rows_at_once
    np.testing.assert_array_equal(sum(given), sharded.read_all())


def test_no_replica_has_all_logits(two_replicas):
    with pytest.raises(UserError, match="shard_bank=True leaves no replica"):
        bank(two_replicas).logits(tf.zeros((1, D)))
