"""The loss against a bank split over replicas is that against the whole bank."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.replicas_in_threads import on_each, shards_of

from and_tf.bank.collectives import StrategyReplicas
from and_tf.bank.shards import Shard, shard_size
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss, bank_loss_and_gradient
from and_tf.methods.sharded_loss import sharded_loss_and_gradient

B, D, K = 6, 8, 3


def problem(num_rows, seed=0, batch=B, neighbours=K):
    """Embeddings, rows, indices, neighbours (B, k) and whether images are anchors (B,)."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(num_rows, D)).astype("float32")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    indices = rng.integers(num_rows, size=batch)
    embeddings = (rows[indices] + 0.3 * rng.normal(size=(batch, D))).astype("float32")
    near = rng.integers(num_rows, size=(batch, neighbours))
    is_anchor = rng.random(batch) < 0.7
    return embeddings, rows, indices, near, is_anchor


def sharded(size, parts, temperature, block_size, as_variable=False, weight=None):
    """What each of R replicas finds, and the bytes that one of them gave."""
    embeddings, rows, indices, near, is_anchor = parts
    shards = shards_of(rows, size)

    def work(replica):
        kept = shards[replica.number]
        kept = tf.Variable(kept) if as_variable else tf.constant(kept)
        shard = Shard(kept, replica.number, size, len(rows))
        assert len(shards[replica.number]) == shard_size(len(rows), size)
        return sharded_loss_and_gradient(
            tf.constant(embeddings),
            shard,
            tf.constant(indices),
            tf.constant(near),
            tf.constant(is_anchor),
            temperature,
            block_size,
            replica,
            weight,
        )

    return on_each(size, work)


# 4 does not divide 41, 40 is even, and 3 rows leave some of 4 and 8 replicas without any.
@pytest.mark.parametrize("num_rows", [41, 40, 3])
@pytest.mark.parametrize(("size", "temperature"), [(2, 0.05), (2, 1.0), (4, 0.1), (8, 0.07)])
def test_losses_and_gradients_equal_those_of_the_whole_bank(num_rows, size, temperature):
    parts = problem(num_rows)
    expected = bank_loss_and_gradient(*map(tf.constant, parts), temperature, 7)
    found, _ = sharded(size, parts, temperature, block_size=3)
    for of_replica in found:
        for values, wanted in zip(of_replica, expected, strict=True):
            np.testing.assert_allclose(values, wanted, rtol=1e-6, atol=1e-6 / temperature)


def test_the_gradient_is_that_of_the_loss():
    embeddings, *others = parts = problem(41)
    x = tf.constant(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(x)
        losses = bank_loss(x, *others, 0.1, 41)
    (found, *_), _ = sharded(4, parts, 0.1, block_size=41)
    np.testing.assert_allclose(found[0], losses, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], tape.gradient(losses, x), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(("num_rows", "size"), [(41, 2), (41, 4), (3, 4)])
def test_with_unification_entropy_they_are_equal_too(num_rows, size):
    parts, weight = problem(num_rows), tf.constant(0.7)
    tensors = map(tf.constant, parts)
    expected = bank_loss_and_gradient(*tensors, 0.1, 7, entropy_weight=weight)
    found, _ = sharded(size, parts, 0.1, 3, as_variable=True, weight=weight)
    for of_replica in found:
        for values, wanted in zip(of_replica, expected, strict=True):
            np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-5)


def test_without_neighbours_it_is_the_loss_of_instance():
    parts = embeddings, rows, indices, *_ = problem(41, neighbours=0)
    logits = embeddings.astype("float64") @ rows.T.astype("float64") / 0.1
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(B), indices]
    (found, *_), _ = sharded(4, parts, 0.1, block_size=5)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_what_is_exchanged_depends_on_the_batch_and_not_on_the_bank():
    _, few = sharded(4, problem(64), 0.1, block_size=16)
    _, many = sharded(4, problem(6400), 0.1, block_size=16)
    assert few == many == 2 * 4 * B * (1 + 1 + D)  # maxima, totals and rows of both softmaxes


def test_a_row_that_is_not_finite_on_one_replica_is_seen_by_all():
    parts = problem(41)
    parts[1][7, 0] = np.nan
    found, _ = sharded(4, parts, 0.1, block_size=5)
    assert all(np.isnan(losses).all() for losses, _ in found)


def test_the_replicas_of_a_strategy_find_it_together(two_replicas):
    parts = embeddings, rows, indices, near, is_anchor = problem(41)
    shards = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(shards_of(rows, 2)[context.replica_id_in_sync_group])
    )

    def on_replica(kept):
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        shard = Shard(kept, number, 2, len(rows))
        given = map(tf.constant, (indices, near, is_anchor))
        return sharded_loss_and_gradient(
            tf.constant(embeddings), shard, *given, 0.1, 5, StrategyReplicas()
        )

    found = tf.function(lambda kept: two_replicas.run(on_replica, args=(kept,)))(shards)
    (expected, *_), _ = sharded(2, parts, 0.1, 5)
    for values, wanted in zip(found, expected, strict=True):
        for copy in two_replicas.experimental_local_results(values):
            np.testing.assert_allclose(copy, wanted, rtol=1e-6, atol=1e-6)
