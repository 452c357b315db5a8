"""One pass over the bank without each query's own row, against sums written out in float64."""

import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.softmax import softmax_over_bank, softmax_over_others

NUM_ROWS, D = 23, 4


def problem(scale, count=5):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(NUM_ROWS, D)).astype("float32")
    queries = (scale * rng.normal(size=(count, D))).astype("float32")
    return rows, queries, np.array([0, 6, 7, 22, 22])[:count]


def naive(query, rows, own):
    """logsumexp, mean row, entropy and its gradient over all rows but one."""
    others = np.delete(rows, own, axis=0).astype("float64")
    logits = others @ query.astype("float64")
    weights = np.exp(logits - logits.max())
    q = weights / weights.sum()
    log_q = logits - logits.max() - np.log(weights.sum())
    log_total = logits.max() + np.log(weights.sum())
    gradient = sum(
        -p * (logit - q @ logits) * row for p, logit, row in zip(q, logits, others, strict=True)
    )
    return log_total, q @ others, -(q * log_q).sum(), gradient


@pytest.mark.parametrize("block_size", [1, 7, 23, 100])
@pytest.mark.parametrize("scale", [1.0, 10.0, 200.0])  # 1 / temperature
@pytest.mark.parametrize("jit_compile", [False, True])
def test_all_parts_equal_a_loop(block_size, scale, jit_compile):
    rows, queries, own = problem(scale)
    run = tf.function(softmax_over_others, jit_compile=jit_compile)
    found = run(tf.constant(rows), tf.constant(queries), tf.constant(own), block_size)
    tolerances = (1e-5, 1e-5, 1e-4, 1e-4)
    for place, (query, own_row) in enumerate(zip(queries, own, strict=True)):
        expected = naive(query, rows, own_row)
        for part, value, tolerance in zip(found, expected, tolerances, strict=True):
            largest = max(1.0, scale / 10)  # the rounding of the logits
            np.testing.assert_allclose(part[place], value, rtol=1e-4, atol=tolerance * largest)


@pytest.mark.parametrize("block_size", [1, 7, 23])
def test_the_own_row_does_not_count_however_large(block_size):
    rows, queries, own = problem(scale=10.0)
    rows[own] = 30 * queries[: len(own)]  # softmax over all rows: 1 for each its own
    found = softmax_over_others(tf.constant(rows), tf.constant(queries[:1]), own[:1], block_size)
    rows[own[0]] = 0.0
    changed = softmax_over_others(tf.constant(rows), tf.constant(queries[:1]), own[:1], block_size)
    for one, other in zip(found, changed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("is_variable", [False, True])
@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_with_the_own_row_it_is_the_softmax_over_the_bank(is_variable, scale):
    rows, queries, own = problem(scale)
    bank = tf.Variable(rows) if is_variable else tf.constant(rows)
    others = softmax_over_others(bank, tf.constant(queries), tf.constant(own), 7)
    found = others.with_own_row(bank, tf.constant(queries), tf.constant(own))
    expected = softmax_over_bank(bank, tf.constant(queries), 7)
    np.testing.assert_allclose(found.log_total, expected.log_total, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        found.mean_row, expected.mean_row, rtol=1e-3, atol=1e-4 * max(1, scale / 50)
    )


def test_a_bank_of_one_row_has_no_entropy():
    bank, query = tf.constant([[1.0, 0.0]]), tf.constant([[0.5, 1.0]])
    others = softmax_over_others(bank, query, tf.constant([0]), 1)
    assert float(others.entropy[0]) == 0 and not others.entropy_gradient.numpy().any()
    np.testing.assert_allclose(others.with_own_row(bank, query, tf.constant([0])).log_total, [0.5])
