"""A bank in float16: half of the memory, and nothing but the storage is rounded."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.fitting import fit

from and_tf.bank.memory_bank import MemoryBank
from and_tf.bank.settings import BankSettings
from and_tf.errors import UserError
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.instance import Instance
from and_tf.methods.unification_entropy import unification_entropy
from and_tf.runs import checkpoint
from and_tf.search.neighbourhoods import discover, neighbour_overlap
from and_tf.search.rows import unit_rows
from and_tf.settings import SettingError
from and_tf.training.optimizers import TorchSGD

N, D, B = 60, 16, 6


def rows(count=N, seed=0):
    return unit_rows(np.random.default_rng(seed).normal(size=(count, D)))


def batch():
    draw = np.random.default_rng(5)
    indices = draw.permutation(N)[:B]
    return rows(B, seed=1), indices, draw.integers(0, N, (B, 2)), np.arange(B) % 2 == 0


@pytest.mark.parametrize("make", [tf.Variable, tf.constant])  # XLA takes the bank as a tensor
def test_the_loss_is_that_of_the_rounded_rows_in_float32(make):
    stored = rows().astype(np.float16)
    embeddings, indices, neighbours, is_anchor = batch()
    bank = make(stored)

    def losses(x, bank):
        near = bank_loss(x, bank, indices, neighbours, is_anchor, 0.07, block_size=13)
        return near + unification_entropy(x, bank, indices, 0.07, block_size=13)

    x = tf.constant(embeddings)
    found = []
    for given in (bank, tf.constant(stored.astype(np.float32))):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = losses(x, given)
        found += [loss.numpy(), tape.gradient(loss, x).numpy()]
    assert found[0].dtype == found[1].dtype == np.float32
    np.testing.assert_allclose(found[0], found[2], rtol=1e-6)
    np.testing.assert_allclose(found[1], found[3], rtol=1e-5, atol=1e-5)


def test_an_update_is_computed_in_float32_and_rounded_once():
    bank = MemoryBank(N, D, rate=0.3, seed=0, rows_dtype="float16")
    expected = bank.rows.numpy()
    assert expected.dtype == np.float16
    embeddings, indices, *_ = batch()
    bank.update(indices, embeddings)
    for index, embedding in zip(indices, embeddings, strict=True):
        row = 0.7 * expected[index].astype(np.float64) + 0.3 * embedding
        expected[index] = (row / np.linalg.norm(row)).astype(np.float32).astype(np.float16)
    found = bank.rows.numpy()
    # A float32 in the middle of two float16 may be rounded to the other one.
    np.testing.assert_allclose(found, expected, rtol=2**-10, atol=1e-7)
    assert (found == expected).mean() > 0.99


def test_it_starts_from_the_rounded_numbers_of_a_float32_bank():
    half, full = (MemoryBank(N, D, seed=4, rows_dtype=dtype) for dtype in ("float16", "float32"))
    np.testing.assert_array_equal(half.rows.numpy(), full.rows.numpy().astype(np.float16))
    logits = half.logits(rows(3))
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, full.logits(rows(3)), atol=0.02)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_rows_follow_their_embeddings_without_drift(rate):
    """400 updates towards random embeddings of one centre: rounding has no preferred direction."""
    draw = np.random.default_rng(0)
    centre = rows(200, seed=2)
    banks = [MemoryBank(200, D, rate=rate, seed=0, rows_dtype=d) for d in ("float16", "float32")]
    for _ in range(400):
        embeddings = unit_rows(centre + draw.normal(0, 0.05, centre.shape))
        for bank in banks:
            bank.update(np.arange(200), embeddings)
    half, full = (bank.rows.numpy().astype(np.float64) for bank in banks)
    error = half - full
    assert np.abs(error).max() < 2**-11 / rate  # of values below 1
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(error.size)
    along = np.einsum("nd,nd->n", error, centre)  # shorter, or longer, rows
    assert abs(along.mean()) < 2e-5
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, atol=5e-4)


def test_rows_stop_at_most_a_hundredth_short_at_the_lowest_rate():
    """Updates that are below half of the distance of two float16 values are lost."""
    rate = 0.05
    with pytest.raises(SettingError, match=r"bank_rate=0.04 adds to a row: use float32, or a rate"):
        BankSettings(bank_dtype="float16", bank_rate=0.04)
    BankSettings(bank_dtype="float16", bank_rate=rate)
    bank = MemoryBank(N, D, rate=rate, seed=0, rows_dtype="float16")
    for _ in range(600):
        bank.update(np.arange(N), rows())
    error = np.abs(bank.rows.numpy() - rows())
    assert (error / np.abs(rows())).max() < 0.015
    assert np.abs(error).mean() > 1e-4  # they do stop


def test_neighbours_and_entropy_hardly_differ():
    bank = rows(300)
    half, full = discover(bank.astype(np.float16), 3), discover(bank, 3)
    assert neighbour_overlap(full.neighbours, half.neighbours) > 99
    np.testing.assert_allclose(half.entropy, full.entropy, atol=2e-3)


def test_any_other_type_is_refused():
    for dtype in ("float64", "bfloat16", "int8"):
        with pytest.raises(UserError, match="float32, float16"):
            MemoryBank(4, 4, rows_dtype=dtype)
        with pytest.raises(SettingError, match="float32, float16"):
            BankSettings(bank_dtype=dtype)


def model(bank_dtype="float16", jit_compile=False):
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    x = keras.layers.Dense(D, name="fc")(
        keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    )
    encoder = keras.Model(images, keras.layers.UnitNormalization()(x))
    found = AND(encoder, N, neighbourhood_size=2, seed=0, bank_dtype=bank_dtype)
    found.compile(TorchSGD(0.1, momentum=0.9), jit_compile=jit_compile)
    found.neighbours.assign(np.random.default_rng(0).integers(0, N, (N, 2)))
    found.is_anchor.assign(np.arange(N) % 2 == 0)
    return found


def steps(first, last):
    draws = [np.random.default_rng(step) for step in range(first, last)]
    return [
        (draw.uniform(0, 255, (B, 8, 8, 3)).astype("float32"), draw.permutation(N)[:B])
        for draw in draws
    ]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_is_that_of_a_float32_bank_but_for_rounding(jit_compile):
    half, full = model(jit_compile=jit_compile), model("float32")
    losses = [fit(each, steps(0, 8)) for each in (half, full)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert half.bank.rows.numpy().dtype == np.float16
    np.testing.assert_allclose(half.image_embeddings(), full.image_embeddings(), atol=3e-3)
    assert half.image_embeddings().dtype == np.float32


def test_a_run_that_is_continued_has_the_very_same_rows(tmp_path):
    trained, path = model(), tmp_path / "last.npz"
    state = checkpoint.training_state(trained)
    fit(trained, steps(0, 3))
    checkpoint.save(path, checkpoint.values(state), {})
    fit(trained, steps(3, 6))
    expected = checkpoint.values(state)
    arrays, _ = checkpoint.load(path)
    assert arrays["bank"].dtype == np.float16
    checkpoint.restore(state, arrays, path)
    fit(trained, steps(3, 6))
    for name, array in checkpoint.values(state).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_the_setting_reaches_the_model_and_the_memory_that_is_named():
    settings = Instance(bank=BankSettings(bank_dtype="float16"))
    assert settings.model_arguments(np.zeros(5), None)["bank_dtype"] == "float16"
    half, full = model(), model("float32")
    half.num_samples = full.num_samples = 10**6
    assert "image): 32.0 MB" in half.describe_memory(B)[0]
    assert "image): 64.0 MB" in full.describe_memory(B)[0]
    again = AND.from_config(half.get_config())
    assert again.bank.rows_dtype == "float16"
