"""What must hold for the loss of any bank, whatever hypothesis draws."""

import numpy as np
import tensorflow as tf
from helpers.drawn import SEEDS, SETTINGS, TEMPERATURES, drawn_unit_rows
from hypothesis import given
from hypothesis import strategies as st

from and_tf.methods.anchor_neighbourhoods.loss import bank_loss, neighbourhood_loss


@st.composite
def neighbourhoods(draw):
    """Embeddings (B, D), bank (N, D), indices, neighbours without the image itself, anchors."""
    num_rows, dim = draw(st.integers(2, 24)), draw(st.integers(1, 5))
    batch, k = draw(st.integers(1, 8)), draw(st.integers(1, min(4, num_rows - 1)))
    rng = np.random.default_rng(draw(SEEDS))
    indices = rng.integers(0, num_rows, batch)
    others = [rng.permutation(np.delete(np.arange(num_rows), index))[:k] for index in indices]
    rows, embeddings = drawn_unit_rows(rng, num_rows, dim), drawn_unit_rows(rng, batch, dim)
    return embeddings, rows, indices, np.array(others, "int32"), rng.random(batch) < 0.5


@SETTINGS
@given(neighbourhoods(), TEMPERATURES, SEEDS)
def test_the_loss_does_not_depend_on_the_order_of_the_bank(drawn, temperature, seed):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    order = np.random.default_rng(seed).permutation(len(rows))
    place = np.argsort(order)
    logits = embeddings @ rows.T / temperature
    plain = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    moved = neighbourhood_loss(logits[:, order], place[indices], place[neighbours], is_anchor)
    np.testing.assert_allclose(plain, moved, rtol=1e-5, atol=1e-5)
    assert np.min(plain) >= -1e-5


@SETTINGS
@given(neighbourhoods(), TEMPERATURES, st.floats(-50, 50))
def test_the_loss_does_not_depend_on_a_shift_of_all_logits(drawn, temperature, shift):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    logits = embeddings @ rows.T / temperature
    plain = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    moved = neighbourhood_loss(logits + np.float32(shift), indices, neighbours, is_anchor)
    np.testing.assert_allclose(plain, moved, rtol=1e-4, atol=1e-4)


@SETTINGS
@given(neighbourhoods(), TEMPERATURES)
def test_the_gradient_at_the_logits_sums_to_nothing(drawn, temperature):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    logits = tf.constant(embeddings @ rows.T / temperature)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    gradient = tape.gradient(losses, logits).numpy()  # softmax less the shares of the positives
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-5)
    assert np.abs(gradient).max() <= 1 + 1e-5
    positives = [{i, *row} if one else {i} for i, row, one in zip(*drawn[2:], strict=True)]
    for row, positive in zip(gradient, positives, strict=True):
        assert all(row[i] <= 1e-6 if i in positive else row[i] >= 0 for i in range(len(row)))


@SETTINGS
@given(neighbourhoods(), TEMPERATURES, st.integers(1, 30))
def test_the_loss_in_blocks_of_any_size_is_the_loss(drawn, temperature, block_size):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    found = []
    for loss in (
        lambda x: neighbourhood_loss(
            x @ tf.transpose(rows) / temperature, indices, neighbours, is_anchor
        ),
        lambda x: bank_loss(x, rows, indices, neighbours, is_anchor, temperature, block_size),
    ):
        queries = tf.constant(embeddings)
        with tf.GradientTape() as tape:
            tape.watch(queries)
            losses = loss(queries)
        found.append((losses.numpy(), tape.gradient(losses, queries).numpy()))
    (plain, plain_gradient), (blocks, block_gradient) = found
    np.testing.assert_allclose(blocks, plain, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(block_gradient, plain_gradient, rtol=1e-4, atol=1e-4)
