"""The replicas of a strategy share each batch of which features are taken."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.evaluation import extract
from and_tf.evaluation.features import extract_layers

SIZE = 8


class Images:
    name = "images"

    def __init__(self, count):
        self.images = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), "uint8")

    def __len__(self):
        return len(self.images)

    def load(self, indices, size):
        return self.images[indices]


COUNTS = collections.Counter()  # not of the layer: Keras would make it a dictionary


class Counting(keras.layers.Layer):
    """Counts the images that each device has worked on."""

    def call(self, x):
        device = tf.shape(x).device[-5:]  # where the replica computes, known as it is traced

        def count(number):
            COUNTS[device] += int(number)
            return number

        counted = tf.numpy_function(count, [tf.shape(x)[0]], tf.int32)
        with tf.control_dependencies([counted]):
            return tf.identity(x)


@pytest.fixture(autouse=True)
def no_counts():
    COUNTS.clear()


def convolutional():
    """With a BatchNorm whose moving averages are not 0 and 1."""
    keras.utils.set_random_seed(1)
    norm = keras.layers.BatchNormalization(synchronized=True)
    images = keras.Input((SIZE, SIZE, 3))
    maps = Counting()(norm(keras.layers.Conv2D(4, 3, name="conv")(images)))
    model = keras.Model(images, keras.layers.Dense(5, name="fc")(keras.layers.Flatten()(maps)))
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma, beta, mean + 0.3, variance * 3])
    return model


# The last batches hold 3 images, 1 and 4. Of a batch of one both replicas take it.
@pytest.mark.parametrize(("count", "by_device"), [(11, (5, 6)), (9, (5, 5)), (12, (6, 6))])
def test_each_device_takes_its_share_of_each_batch(two_replicas, count, by_device):
    with two_replicas.scope():
        shared = convolutional()
    features = extract(shared, Images(count), SIZE, batch_size=4, progress=False)
    assert (COUNTS["CPU:0"], COUNTS["CPU:1"]) == by_device
    expected = extract(convolutional(), Images(count), SIZE, 4, progress=False)
    # Values of up to 110, of which float32 keeps 1e-5.
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-4)


def test_new_weights_are_those_of_each_device(two_replicas):
    with two_replicas.scope():
        shared = convolutional()
    before = extract(shared, Images(4), SIZE, progress=False)
    shared.layers[-1].set_weights([2 * weight for weight in shared.layers[-1].get_weights()])
    features = extract(shared, Images(4), SIZE, progress=False)
    np.testing.assert_allclose(features, 2 * before, rtol=1e-5)


def test_several_layers_are_those_of_one_device(two_replicas):
    found = []
    for strategy in (two_replicas, tf.distribute.get_strategy()):
        with strategy.scope():
            encoder = convolutional()
        features = extract_layers(encoder, ["conv", "fc"], Images(5), SIZE, 4, progress=False)
        found.append(list(features.values()))
    for shared, alone in zip(*found, strict=True):
        np.testing.assert_allclose(shared, alone, rtol=1e-5, atol=1e-6)
    assert COUNTS["CPU:1"] == 2 + 1
