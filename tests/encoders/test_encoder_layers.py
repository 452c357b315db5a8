"""PyTorch's start, padding and BatchNorm constants."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf import encoders
from and_tf.encoders.layers import TorchLayers


def naive_convolution(image, kernel, stride, padding):
    size, out_channels = kernel.shape[0], kernel.shape[-1]
    image = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    steps = range(0, image.shape[0] - size + 1, stride)
    out = np.zeros((len(steps), len(steps), out_channels))
    for y, top in enumerate(steps):
        for x, left in enumerate(steps):
            patch = image[top : top + size, left : left + size]
            out[y, x] = np.tensordot(patch, kernel, axes=3)
    return out


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 1, None), (3, 2, None), (1, 2, None), (7, 2, 3), (11, 4, 2)]
)
def test_convolution_pads_both_sides_alike(side, size, stride, padding):
    inputs = keras.Input((side, side, 2))
    outputs = TorchLayers(seed=0).convolution(inputs, 3, size, stride, padding, name="conv")
    image = np.random.default_rng(0).normal(size=(side, side, 2)).astype("float32")
    model = keras.Model(inputs, outputs)
    kernel = model.get_layer("conv").get_weights()[0]
    expected = naive_convolution(image, kernel, stride, size // 2 if padding is None else padding)
    np.testing.assert_allclose(model(image[None], training=False)[0], expected, atol=1e-5)


def test_padded_max_pool_pads_both_sides_alike():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, TorchLayers().max_pool(inputs, 3, stride=2, padding=1, name="pool"))
    image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(model(image)[0, :, :, 0], [[5, 7], [13, 15]])


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [("conv1_conv", 27), ("conv3_conv", 1728), ("hidden1_dense", 4096), ("fc", 1024)],
)
def test_kernels_and_biases_start_uniform_within_torch_bounds(layer, fan_in):
    kernel, bias = encoders.build_encoder("alexnet", seed=2).get_layer(layer).get_weights()
    bound = 1 / np.sqrt(fan_in)
    for weight in (kernel, bias):
        assert 0.9 * bound < np.abs(weight).max() <= bound
    assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
    assert abs(kernel.mean()) < 0.1 * bound


def test_batch_norm_has_torch_constants():
    norm = encoders.build_encoder("resnet_small").get_layer("stem_bn")
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.9)
    images = np.random.default_rng(0).normal(2, 3, (4, 5, 5, 16)).astype("float32")
    found = norm(images, training=True).numpy()
    mean, variance = images.mean((0, 1, 2)), images.var((0, 1, 2))
    np.testing.assert_allclose(found, (images - mean) / np.sqrt(variance + 1e-5), atol=1e-4)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)


@pytest.mark.parametrize("channels", [8, 16])
def test_a_strided_1x1_convolution_of_few_channels_has_the_right_gradient(channels):
    # oneDNN corrupts the heap where such a convolution has fewer than 16 channels.
    x = keras.Input((16, 16, channels))
    layers = TorchLayers(seed=0)
    model = keras.Model(x, layers.convolution(x, 16, 1, stride=2, name="shortcut"))
    maps = np.random.default_rng(0).standard_normal((3, 16, 16, channels)).astype("float32")
    for _ in range(20):
        with tf.GradientTape() as tape:
            found = model(maps)
            loss = tf.reduce_sum(found**2)
        gradient = tape.gradient(loss, model.trainable_variables)[0]
    kernel = model.get_layer("shortcut").kernel.numpy()[0, 0]
    expected = maps[:, ::2, ::2] @ kernel
    np.testing.assert_allclose(found, expected, atol=1e-4)
    wanted = np.einsum("bhwi,bhwo->io", maps[:, ::2, ::2], 2 * expected)
    np.testing.assert_allclose(gradient[0, 0], wanted, rtol=1e-3, atol=1e-2)
    assert any(isinstance(each, keras.layers.MaxPooling2D) for each in model.layers) == (
        channels < 16
    )
