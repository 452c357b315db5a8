import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.memory_bank import MemoryBank
from and_tf.methods.anchor_neighbourhoods.loss import neighbourhood_loss
from and_tf.training.optimizers import TorchSGD


@pytest.mark.parametrize("name", ["inst_constlr", "ans_constlr", "ans_lrdrop"])
def test_five_training_steps_equal_the_authors(golden, name):
    arrays = golden(f"e_train_{name}")
    network = keras.Sequential(
        [keras.Input((20,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(16),
         keras.layers.UnitNormalization()]
    )  # fmt: skip
    names = ("l1.weight", "l1.bias", "l2.weight", "l2.bias")
    network.set_weights([arrays[f"init.{name}"].T for name in names])
    bank = MemoryBank(64, 16)
    bank.rows.assign(arrays["memory0"])
    optimizer = TorchSGD(0.03, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for step, batch in enumerate(arrays["batches"]):
        position = arrays["position"][batch]
        is_anchor = (position >= 0) & name.startswith("ans")
        neighbours = arrays["neighbours"][np.maximum(position, 0)].astype("int32")
        with tf.GradientTape() as tape:
            embeddings = network(arrays["data"][batch], training=True)
            losses = neighbourhood_loss(bank.logits(embeddings), batch, neighbours, is_anchor)
            loss = tf.reduce_mean(losses)
        optimizer.learning_rate = float(arrays["lrs"][step])
        optimizer.apply(
            tape.gradient(loss, network.trainable_variables), network.trainable_variables
        )
        bank.update(batch, embeddings)
        np.testing.assert_allclose(loss, arrays[f"step{step}.loss"], atol=1e-5)
        np.testing.assert_allclose(bank.rows, arrays[f"step{step}.memory"], atol=1e-5)
        for key, weight, buffer in zip(names, network.weights, optimizer.buffers, strict=True):
            np.testing.assert_allclose(weight, arrays[f"step{step}.{key}"].T, atol=1e-5)
            np.testing.assert_allclose(buffer, arrays[f"step{step}.buf.{key}"].T, atol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_rule_is_that_of_a_plain_loop(nesterov):
    weight = keras.Variable([1.0, -2.0])
    optimizer = TorchSGD(0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    w, b = np.array([1.0, -2.0]), np.zeros(2)
    for gradient in ([0.5, 0.1], [-0.2, 0.3], [0.0, 1.0]):
        optimizer.apply([tf.constant(gradient)], [weight])
        d = np.array(gradient) + 0.01 * w
        b = 0.9 * b + d
        w = w - 0.1 * (d + 0.9 * b if nesterov else b)
    np.testing.assert_allclose(weight.numpy(), w, rtol=1e-6)


def test_without_momentum_it_is_plain_gradient_descent():
    weight = keras.Variable([1.0])
    TorchSGD(0.5).apply([tf.constant([1.0])], [weight])
    np.testing.assert_allclose(weight.numpy(), [0.5])


def test_settings_survive_serialisation():
    optimizer = TorchSGD(0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"nesterov": True}, {"weight_decay": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError):
        TorchSGD(0.1, **wrong)


def test_a_lower_rate_for_some_variables_is_that_of_another_parameter_group():
    gradients = [np.random.default_rng(step).normal(size=(2, 3)) for step in range(4)]
    together = [keras.Variable(np.ones(3)), keras.Variable(np.ones(3))]
    optimizer = TorchSGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    optimizer.scale_rate(together[1:], 0.25)
    alone = [keras.Variable(np.ones(3)), keras.Variable(np.ones(3))]
    groups = [
        TorchSGD(rate, momentum=0.9, nesterov=True, weight_decay=0.01) for rate in (0.1, 0.025)
    ]
    for both in gradients:
        parts = [tf.constant(part, "float32") for part in both]
        optimizer.apply(parts, together)
        for group, part, variable in zip(groups, parts, alone, strict=True):
            group.apply([part], [variable])
    np.testing.assert_array_equal(together[0], alone[0])
    np.testing.assert_allclose(together[1], alone[1], rtol=1e-6)
    assert np.abs(np.asarray(together[0]) - np.asarray(together[1])).min() > 1e-3
