"""One pass over the bank against the softmax written out in float64."""

import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.softmax import softmax_over_bank

NUM_ROWS, D = 23, 4


@pytest.mark.parametrize("block_size", [1, 7, 23, 100])
@pytest.mark.parametrize("scale", [1.0, 10.0, 200.0])  # 1 / temperature
@pytest.mark.parametrize("is_variable", [False, True])
def test_total_and_mean_row_equal_a_loop(block_size, scale, is_variable):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(NUM_ROWS, D)).astype("float32")
    queries = (scale * rng.normal(size=(5, D))).astype("float32")
    bank = tf.Variable(rows) if is_variable else tf.constant(rows)
    found = softmax_over_bank(bank, tf.constant(queries), block_size)
    for query, log_total, mean_row in zip(queries, *map(np.asarray, found), strict=True):
        logits = rows.astype("float64") @ query.astype("float64")
        weights = np.exp(logits - logits.max())
        expected = logits.max() + np.log(weights.sum())
        np.testing.assert_allclose(log_total, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            mean_row, weights @ rows / weights.sum(), rtol=1e-3, atol=1e-4 * max(1, scale / 50)
        )


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(NUM_ROWS, D)).astype("float32")
    queries = tf.constant(rng.normal(size=(3, D)).astype("float32"))
    plain = softmax_over_bank(tf.constant(rows), queries, 5)
    shuffled = softmax_over_bank(tf.constant(rows[rng.permutation(NUM_ROWS)]), queries, 5)
    for one, other in zip(plain, shuffled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
