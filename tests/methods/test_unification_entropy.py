import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.memory_bank import MemoryBank
from and_tf.methods.unification_entropy import unification_entropy


@pytest.mark.parametrize("temperature", ["0.1", "0.07"])
@pytest.mark.parametrize("block_size", [77, 500])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_entropy_and_gradient_equal_the_exact_ones(golden, temperature, block_size, jit_compile):
    arrays = golden("f_options")

    @tf.function(jit_compile=jit_compile)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            entropy = unification_entropy(
                x, tf.constant(arrays["ue_memory"]), arrays["ue_indices"], float(temperature),
                block_size,
            )  # fmt: skip
            mean = tf.reduce_mean(entropy)
        return mean, tape.gradient(mean, x)

    mean, gradient = run(tf.constant(arrays["ue_features"]))
    prefix = f"ue_T{temperature}_"
    np.testing.assert_allclose(mean, arrays[prefix + "exact_loss"], rtol=1e-6)
    np.testing.assert_allclose(gradient, arrays[prefix + "exact_grad"], atol=3e-7)
    # Super-AND's own logit of -10, in place of no own row.
    np.testing.assert_allclose(mean, arrays[prefix + "loss"], atol=1e-5)
    np.testing.assert_allclose(gradient, arrays[prefix + "grad"], atol=1e-6)


def test_entropy_reads_the_bank_variable_and_gives_it_no_gradient():
    bank = MemoryBank(30, 4, seed=0)
    x = tf.math.l2_normalize(tf.random.normal((5, 4), seed=1), axis=1)
    with tf.GradientTape() as tape:
        tape.watch(bank.rows.value)
        entropy = unification_entropy(x, bank.rows, tf.range(5), 0.1, 8)
    assert tape.gradient(entropy, bank.rows.value) is None
    expected = unification_entropy(x, bank.rows.numpy(), tf.range(5), 0.1, 30)
    np.testing.assert_allclose(entropy, expected, atol=1e-6)


def test_equal_similarities_have_the_largest_entropy_and_no_gradient():
    rows, x = tf.constant(np.eye(8, dtype="float32")), tf.fill([1, 8], 8**-0.5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        entropy = unification_entropy(x, rows, tf.constant([3]), 0.1, 3)
    np.testing.assert_allclose(entropy, np.log(7), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(entropy, x), np.zeros((1, 8)), atol=1e-6)
