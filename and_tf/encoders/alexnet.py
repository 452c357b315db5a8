"""AlexNet with BatchNorm, for small images and for 224 x 224."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from and_tf.encoders.layers import TorchLayers

# Convolutions have a bias although BatchNorm follows, as in the PyTorch code of this line of work
# (Instance, AND, ISL). BatchNorm cancels it, so its only cost is 1,152 parameters, and weights can
# be compared one to one.


def build_alexnet(
    layers: TorchLayers, x: keras.KerasTensor, embedding_dim: int, large: bool
) -> keras.KerasTensor:
    """The network for small images, or the one for ImageNet's size."""
    return (_large_alexnet if large else _small_alexnet)(layers, x, embedding_dim)


def _small_alexnet(
    layers: TorchLayers, x: keras.KerasTensor, embedding_dim: int
) -> keras.KerasTensor:
    """For sides up to 64. The authors of AND did not publish theirs; this is ISL's (ICCV 2021)."""
    for number, (filters, has_pool) in enumerate(
        [(64, True), (192, True), (384, False), (256, False), (256, True)], start=1
    ):
        x = _convolution(layers, x, filters, 3, name=f"conv{number}")
        if has_pool:
            x = layers.max_pool(x, 2, stride=2, name=f"pool{number}")
    return _head(layers, x, hidden_units=1024, embedding_dim=embedding_dim)


def _large_alexnet(
    layers: TorchLayers, x: keras.KerasTensor, embedding_dim: int
) -> keras.KerasTensor:
    """For sides above 64, meant for 224."""
    x = _convolution(layers, x, 64, 11, stride=4, padding=2, name="conv1")
    x = layers.max_pool(x, 3, stride=2, name="pool1")
    x = _convolution(layers, x, 192, 5, name="conv2")
    x = layers.max_pool(x, 3, stride=2, name="pool2")
    x = _convolution(layers, x, 384, 3, name="conv3")
    x = _convolution(layers, x, 256, 3, name="conv4")
    x = _convolution(layers, x, 256, 3, name="conv5")
    x = layers.max_pool(x, 3, stride=2, name="pool5")
    return _head(layers, x, hidden_units=4096, embedding_dim=embedding_dim)


def _convolution(layers, x, filters, kernel_size, stride=1, padding=None, name=""):
    """Convolution, BatchNorm and ReLU; the layer called `name` is the ReLU, before any pool."""
    x = layers.convolution(
        x, filters, kernel_size, stride, padding, use_bias=True, name=f"{name}_conv"
    )
    x = layers.batch_norm(x, name=f"{name}_bn")
    return layers.relu(x, name=name)


def _head(layers, x, hidden_units, embedding_dim):
    x = layers.flatten(x, name="flatten")
    for name in ("hidden1", "hidden2"):
        x = layers.dense(x, hidden_units, name=f"{name}_dense")
        x = layers.batch_norm(x, name=f"{name}_bn")
        x = layers.relu(x, name=name)
    return layers.embedding(x, embedding_dim)
