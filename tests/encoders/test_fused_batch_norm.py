"""BatchNorm by the fused kernel is Keras's BatchNorm."""

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.encoders.fused_batch_norm import fuse_batch_norm


def network(shape, dtype="float32", **settings):
    inputs = keras.Input(shape)
    norm = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, dtype=dtype, name="norm", **settings
    )
    model = keras.Model(inputs, norm(inputs))
    weights = np.random.default_rng(1).uniform(0.5, 2, (len(model.get_weights()), shape[-1]))
    model.set_weights(list(weights))
    return model


def trained(model, inputs, pull, jit_compile=False):
    """Outputs, gradients of inputs and weights, and weights after one step in training mode."""

    @tf.function(jit_compile=jit_compile)
    def step(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = model(inputs, training=True)
            pulled = tf.reduce_sum(tf.cast(outputs, tf.float32) * pull)
        return outputs, tape.gradient(pulled, [inputs, *model.trainable_variables])

    outputs, gradients = step(tf.constant(inputs))
    found = [outputs, *gradients, *model.weights]
    return [np.asarray(tf.cast(tf.convert_to_tensor(value), tf.float32)) for value in found]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 2e-5), ("mixed_bfloat16", 0.06), ("mixed_float16", 0.02)]
)
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("shape", [(5, 4, 3), (6,)])
def test_outputs_gradients_and_averages_are_those_of_keras(shape, jit_compile, dtype, tolerance):
    plain, fused = network(shape, dtype), network(shape, dtype)
    fuse_batch_norm(fused)
    assert fused.get_layer("norm").call != plain.get_layer("norm").call
    generator = np.random.default_rng(0)
    inputs = generator.normal(2, 3, (8, *shape)).astype("float32")
    pull = generator.normal(size=(8, *shape)).astype("float32")
    expected = trained(plain, inputs, pull)
    found = trained(fused, inputs, pull, jit_compile)
    for ours, keras_own in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(  # inference, by averages that have moved
        fused(inputs, training=False), plain(inputs, training=False), rtol=tolerance, atol=tolerance
    )


def test_a_single_value_a_channel_has_no_variance():
    fused = network((6,))
    fuse_batch_norm(fused)
    before = fused.get_layer("norm").moving_variance.numpy()
    outputs = fused(np.ones((1, 6), "float32"), training=True)
    np.testing.assert_allclose(outputs[0], fused.get_layer("norm").beta, atol=1e-6)
    np.testing.assert_allclose(fused.get_layer("norm").moving_variance, 0.9 * before, rtol=1e-6)


@pytest.mark.parametrize("settings", [{"synchronized": True}, {"axis": 1}, {"scale": False}])
def test_layers_that_the_kernel_does_not_know_stay_as_they_are(settings):
    inputs = keras.Input((5, 5, 5))
    norm = keras.layers.BatchNormalization(**settings)
    model = keras.Model(inputs, norm(inputs))
    before = norm.call
    fuse_batch_norm(model)
    assert norm.call == before


def test_a_saved_model_names_nothing_of_the_package_and_loads(tmp_path):
    fused = network((5, 4, 3))
    fuse_batch_norm(fused)
    images = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
    path = tmp_path / "model.keras"
    fused.save(path)
    with zipfile.ZipFile(path) as archive:
        assert b"and_tf" not in archive.read("config.json")
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), fused.predict(images, verbose=0), atol=1e-6
    )


def test_a_subclassed_encoder_has_no_graph_to_ask():
    class Encoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.norm = keras.layers.BatchNormalization()

        def call(self, inputs, training=None):
            return self.norm(inputs, training=training)

    encoder = Encoder()
    encoder(keras.Input((4, 4, 3)))
    fuse_batch_norm(encoder)
    assert encoder(np.ones((2, 4, 4, 3), "float32"), training=True).shape == (2, 4, 4, 3)
