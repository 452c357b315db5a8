"""Two replicas train what one device trains, by the methods that keep no bank."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.pipeline import steps_per_epoch, train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.encoders.layers import TorchLayers
from and_tf.encoders.split import SplitLayers, split_input
from and_tf.methods.deepcluster.method import DeepCluster
from and_tf.methods.method import TrainingContext
from and_tf.methods.split_brain.method import SplitBrain
from and_tf.methods.supervised import Supervised
from and_tf.runs import checkpoint
from and_tf.training.optimizers import TorchSGD

pytestmark = pytest.mark.system

D, BATCH, EPOCHS = 4, 8, 3
CHEAP = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)


def images_and_labels(count):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), "uint8")
    return array_source(images, labels=np.arange(count) % 3)


def encoder(has_convolution):
    """With a BatchNorm over all replicas, or without convolution."""
    x = images = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(x)
    if has_convolution:  # oneDNN's gives an empty batch a wrong shape
        x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
        x = keras.layers.BatchNormalization(synchronized=True, name="norm")(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.Dense(D, name="fc")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


def split_encoder():
    """Of two halves, with a BatchNorm over all replicas in each."""
    images, halves = split_input(8)
    layers = SplitLayers(TorchLayers(seed=0, synchronized_batch_norm=True))
    x = layers.convolution(halves, 8, 3, 4, name="conv")
    x = layers.relu(layers.batch_norm(x, name="norm"), name="relu")
    return keras.Model(images, layers.embedding(x, D))


def train(strategy, method, count, **settings):
    """A model after three epochs, and its history."""
    keras.utils.set_random_seed(0)
    source = images_and_labels(count)
    with strategy.scope():
        is_split = isinstance(method, SplitBrain)
        network = split_encoder() if is_split else encoder(has_convolution=count != 17)
        model = method.build_model(network, source, seed=0)
        model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True, weight_decay=5e-4), **settings)
    step = model.optimizer.iterations
    data = train_pipeline(source, BATCH, CHEAP, seed=3, step=step, order=model.order)

    def features(network):
        return network(source.images.astype("float32"), training=False).numpy()

    context = TrainingContext(source, steps_per_epoch(count, BATCH), 0, features)
    fit = {"epochs": EPOCHS, "verbose": 0, "shuffle": False}
    return model, model.fit(data, callbacks=method.callbacks(context), **fit).history


# 21 images end in a batch of 5, split as 3 and 2; 17 in one of 1 image, with an empty replica.
# Split-Brain is convolutional throughout, which no replica without images can be.
@pytest.mark.parametrize(
    ("method", "count"),
    [
        (Supervised(), 21),
        (DeepCluster(num_clusters=4), 17),
        (SplitBrain(), 21),
    ],
)
def test_two_replicas_train_as_one_device(two_replicas, method, count):
    two, history_of_two = train(two_replicas, method, count)
    one, history = train(tf.distribute.get_strategy(), method, count)
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
    here, method = tf.distribute.get_strategy(), DeepCluster(num_clusters=4)
    single, several = (
        checkpoint.training_state(
            train(here, method, 21, steps_per_execution=steps, jit_compile=True)[0]
        )
        for steps in (1, 2)
    )
    for name, variable in single.items():
        np.testing.assert_allclose(
            several[name].numpy(), variable.numpy(), rtol=1e-5, atol=1e-6, err_msg=name
        )
