import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.memory_bank import MemoryBank
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss, neighbourhood_loss

KINDS = ("inst", "k1", "k5")


def problem(arrays, kind, memory):
    """Embeddings, rows, indices, neighbours (B, k) and anchors (B,) of a golden case."""
    positions = np.full(500, -1)
    positions[arrays["anchor_indexes"]] = np.arange(250)
    position = positions[arrays["indexes"]]
    k = 5 if kind == "k5" else 1
    neighbours = arrays["neighbours_k5"][position][:, :k].astype("int32")
    is_anchor = (position >= 0) & (kind != "inst")
    rows = arrays["memory" if memory == "unit" else "memory_init_style"]
    return arrays["features"], rows, arrays["indexes"], neighbours, is_anchor


def naive_loss(embeddings, rows, indices, neighbours, is_anchor, temperature):
    losses = []
    for x, i, near, anchor in zip(embeddings, indices, neighbours, is_anchor, strict=True):
        p = np.exp(rows.astype("float64") @ x.astype("float64") / temperature)
        p /= p.sum()
        losses.append(-np.log(p[i] + (sum(p[j] for j in near) if anchor else 0)))
    return np.array(losses)


@pytest.mark.parametrize("memory", ["unit", "init"])
@pytest.mark.parametrize("temperature", ["0.1", "0.07"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocked", [False, True])
def test_loss_and_gradient_equal_the_authors(golden, kind, temperature, memory, blocked):
    arrays = golden("a_npc_criterion")
    embeddings, rows, indices, neighbours, is_anchor = problem(arrays, kind, memory)
    prefix = f"T{temperature}_{memory}_"
    x = tf.constant(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(x)
        if blocked:
            losses = bank_loss(
                x, tf.constant(rows), indices, neighbours, is_anchor, float(temperature), 77
            )
        else:
            logits = tf.matmul(x, rows, transpose_b=True) / float(temperature)
            np.testing.assert_allclose(logits, arrays[prefix + "logits"], atol=1e-5)
            losses = neighbourhood_loss(logits, indices, neighbours, is_anchor)
        loss = tf.reduce_mean(losses)
    np.testing.assert_allclose(loss, arrays[f"{prefix}{kind}_loss"], atol=3e-6)
    np.testing.assert_allclose(tape.gradient(loss, x), arrays[f"{prefix}{kind}_grad"], atol=1e-6)


@pytest.mark.parametrize("temperature", [0.005, 0.1, 1.0])
@pytest.mark.parametrize("block_size", [1, 7, 40, 100])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_blocked_loss_equals_the_plain_one(temperature, block_size, jit_compile):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 8)).astype("float32")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    x = tf.constant(rows[:6] + 0.1 * rng.normal(size=(6, 8)).astype("float32"))
    indices = np.arange(6)
    neighbours = rng.permutation(40)[:18].reshape(6, 3).astype("int32")
    is_anchor = np.array([True, False, True, True, False, True])

    @tf.function(jit_compile=jit_compile)
    def blocked(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            losses = bank_loss(
                x, tf.constant(rows), indices, neighbours, is_anchor, temperature, block_size
            )
        return losses, tape.gradient(losses, x)

    losses, gradient = blocked(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = tf.matmul(x, rows, transpose_b=True) / temperature
        plain = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    np.testing.assert_allclose(losses, plain, rtol=1e-6, atol=2e-6 / temperature * 0.1)
    scale = 1 / temperature
    np.testing.assert_allclose(
        gradient / scale, tape.gradient(plain, x) / scale, atol=1e-5 if temperature < 0.1 else 1e-6
    )
    expected = naive_loss(x.numpy(), rows, indices, neighbours, is_anchor, temperature)
    np.testing.assert_allclose(plain, expected, rtol=1e-4, atol=1e-5)


def test_blocked_loss_reads_the_bank_variable_and_gives_it_no_gradient():
    bank = MemoryBank(30, 4, seed=0)
    x = tf.math.l2_normalize(tf.random.normal((5, 4), seed=1), axis=1)
    indices, neighbours = tf.range(5), tf.constant([[7]] * 5)
    is_anchor = tf.constant([True] * 5)
    with tf.GradientTape() as tape:
        tape.watch(bank.rows.value)
        losses = bank_loss(x, bank.rows, indices, neighbours, is_anchor, 0.1, 8)
    assert tape.gradient(losses, bank.rows.value) is None
    plain = neighbourhood_loss(bank.logits(x), indices, neighbours, is_anchor)
    np.testing.assert_allclose(losses, plain, atol=1e-6)


def test_loss_does_not_depend_on_the_order_of_the_bank():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 20)).astype("float32")
    indices, neighbours = np.arange(4), np.array([[5], [6], [7], [8]], "int32")
    is_anchor = np.array([True, True, False, True])
    order = rng.permutation(20)
    place = np.argsort(order)
    plain = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    moved = neighbourhood_loss(
        logits[:, order], place[indices], place[neighbours].astype("int32"), is_anchor
    )
    np.testing.assert_allclose(plain, moved, rtol=1e-6)
