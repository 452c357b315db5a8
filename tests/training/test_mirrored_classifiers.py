"""Two replicas train supervised and by DeepCluster what one device trains."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.pipeline import train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.methods.deepcluster.method import DeepCluster
from and_tf.methods.method import TrainingContext
from and_tf.methods.supervised import Supervised
from and_tf.runs import checkpoint
from and_tf.training.optimizers import TorchSGD

pytestmark = pytest.mark.system

N, D, BATCH, STEPS, EPOCHS = 21, 4, 8, 3, 3


def source():
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), "uint8")
    return array_source(images, labels=np.arange(N) % 3)


def encoder():
    x = images = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(x)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.BatchNormalization(synchronized=True, name="norm")(x)
    x = keras.layers.Dense(D, name="fc")(keras.layers.Flatten()(keras.layers.ReLU()(x)))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


def train(strategy, method):
    """A model after three epochs, what was shown to it, and its History."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = method.build_model(encoder(), source(), seed=0)
        model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
    cheap = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
    step = model.optimizer.iterations
    data = train_pipeline(source(), BATCH, cheap, seed=3, step=step, order=model.order)

    def features(network):
        return network(source().images.astype("float32"), training=False).numpy()

    callbacks = method.callbacks(TrainingContext(source(), STEPS, 0, features))
    fit = {"epochs": EPOCHS, "callbacks": callbacks, "verbose": 0, "shuffle": False}
    return model, model.fit(data, **fit).history


@pytest.mark.parametrize("method", [Supervised(), DeepCluster(num_clusters=4)])
def test_two_replicas_train_as_one_device(two_replicas, method):
    two, history_of_two = train(two_replicas, method)
    one, history = train(tf.distribute.get_strategy(), method)
    assert history.keys() == history_of_two.keys()
    for name, values in history.items():
        np.testing.assert_allclose(history_of_two[name], values, rtol=1e-5, err_msg=name)
    expected = checkpoint.training_state(one)
    for name, variable in checkpoint.training_state(two).items():
        if name.startswith("loss/"):
            continue  # sums over replicas are in the history
        copies = two_replicas.experimental_local_results(variable.value)
        for copy in copies:
            np.testing.assert_allclose(
                copy.numpy(), expected[name].numpy(), rtol=1e-5, atol=1e-5, err_msg=name
            )


def test_several_steps_in_an_execution_train_as_one_at_a_time():
    models = []
    for steps in (1, 2):
        keras.utils.set_random_seed(0)
        method = DeepCluster(num_clusters=4)
        model = method.build_model(encoder(), source(), seed=0)
        model.compile(TorchSGD(0.05, momentum=0.9), steps_per_execution=steps, jit_compile=True)
        cheap = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
        step = model.optimizer.iterations
        data = train_pipeline(source(), BATCH, cheap, seed=3, step=step, order=model.order)

        def features(network):
            return network(source().images.astype("float32"), training=False).numpy()

        callbacks = method.callbacks(TrainingContext(source(), STEPS, 0, features))
        model.fit(data, epochs=EPOCHS, callbacks=callbacks, verbose=0, shuffle=False)
        models.append(checkpoint.training_state(model))
    for name, variable in models[0].items():
        np.testing.assert_allclose(
            models[1][name].numpy(), variable.numpy(), rtol=1e-5, atol=1e-6, err_msg=name
        )
