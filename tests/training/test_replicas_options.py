"""Several steps in an execution, and half precision with loss scaling, on two replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.replicated_training import BATCH, build, copies, pixels

from and_tf.data.pipeline import train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.methods.replicas import overflow_on_all
from and_tf.runs import checkpoint
from and_tf.training.optimizers import TorchSGD

pytestmark = pytest.mark.system


def trained(strategy, steps_per_execution):
    """State, losses and counted steps after two epochs of 3 steps, the last one of 5 images."""
    model = build(strategy, 21, "synchronized")
    with strategy.scope():
        model.compile(
            TorchSGD(0.05, momentum=0.9, nesterov=True), steps_per_execution=steps_per_execution
        )
    augmentation = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
    data = train_pipeline(
        array_source(pixels(21)), BATCH, augmentation, step=model.optimizer.iterations
    )
    history = model.fit(data, epochs=2, verbose=0, shuffle=False).history
    steps = int(model.optimizer.iterations.numpy())
    return checkpoint.values(checkpoint.training_state(model)), history["loss"], steps


def test_several_steps_in_an_execution_train_as_one_at_a_time(two_replicas):
    single, losses, _ = trained(two_replicas, 1)
    several, losses_of_several, steps = trained(two_replicas, 2)
    assert steps == 2 * 3  # the second execution of an epoch has one step left
    np.testing.assert_allclose(losses_of_several, losses, rtol=1e-6)
    for name in single:
        np.testing.assert_allclose(several[name], single[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.fixture
def float16():
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


def test_a_gradient_that_overflows_on_one_replica_skips_the_step_on_both(
    two_replicas, float16, monkeypatch
):
    model = build(two_replicas, 21, "dense")
    real = model.losses_and_gradients

    def overflowing(images, indices, weights):
        losses, embeddings, gradients = real(images, indices, weights)
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        factor = tf.where(tf.equal(number, 1), np.inf, 1.0)  # on the second one alone
        return losses, embeddings, [factor * gradient for gradient in gradients]

    monkeypatch.setattr(model, "losses_and_gradients", overflowing)
    before = [weight.numpy() for weight in model.trainable_variables]
    scale = float(model.optimizer.dynamic_scale.numpy())
    data = tf.data.Dataset.from_tensors((pixels(21)[:6].astype("float32"), np.arange(6)))
    model.fit(data, verbose=0, shuffle=False)
    assert copies(two_replicas, model.optimizer.dynamic_scale) == [scale / 2, scale / 2]
    assert int(model.optimizer.iterations.numpy()) == 1
    for weight, value in zip(model.trainable_variables, before, strict=True):
        for copy in copies(two_replicas, weight):
            np.testing.assert_array_equal(copy, value)


def test_float16_trains_on_two_replicas_as_on_one(two_replicas, float16):
    losses = []
    for strategy in (two_replicas, tf.distribute.get_strategy()):
        model = build(strategy, 21, "dense")
        with strategy.scope():
            model.optimizer.dynamic_scale.assign(256.0)  # nothing overflows
        data = tf.data.Dataset.from_tensors((pixels(21)[:6].astype("float32"), np.arange(6)))
        losses.append([model.fit(data, verbose=0).history["loss"][0] for _ in range(3)])
    np.testing.assert_allclose(*losses, rtol=2e-3)
    assert losses[0][2] < losses[0][0]


def test_gradients_of_one_replica_stay_as_they_are():
    gradients = [tf.constant([1.0, np.inf])]
    assert overflow_on_all(gradients) is gradients
