"""ResNets as in torchvision, with a 3x3 stem and no max-pool for small images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from and_tf.encoders.layers import TorchLayers


def build_resnet(
    layers: TorchLayers,
    x: keras.KerasTensor,
    embedding_dim: int,
    block: Callable[..., keras.KerasTensor],
    blocks_per_stage: Sequence[int],
    width: int = 64,
    large: bool = False,
) -> keras.KerasTensor:
    """A ResNet of four stages, each twice as wide as the one before.

    Args:
        layers: a TorchLayers.
        x: (B, H, W, C) keras tensor, normalised images.
        embedding_dim: int, D.
        block: `basic_block` or `bottleneck_block`.
        blocks_per_stage: four ints.
        width: int, filters of the stem and of the first stage's 3x3 convolutions.
        large: bool, ImageNet's stem (7x7 stride 2, max-pool) in place of 3x3 stride 1.

    Returns:
        (B, D) keras tensor, rows of unit length.

    Reference: He et al., CVPR 2016; the stride of a bottleneck sits in its 3x3, as in torchvision.
    """
    stem_size, stem_stride = (7, 2) if large else (3, 1)
    x = layers.convolution(x, width, stem_size, stem_stride, name="stem_conv")
    x = layers.relu(layers.batch_norm(x, name="stem_bn"), name="stem")
    if large:
        x = layers.max_pool(x, 3, stride=2, padding=1, name="stem_pool")

    for stage, num_blocks in enumerate(blocks_per_stage, start=1):
        for number in range(1, num_blocks + 1):
            is_last = number == num_blocks
            x = block(
                layers,
                x,
                filters=width * 2 ** (stage - 1),
                stride=2 if stage > 1 and number == 1 else 1,
                prefix=f"stage{stage}_block{number}",
                name=f"stage{stage}" if is_last else f"stage{stage}_block{number}",
            )
    x = layers.average_pool(x, name="average")
    return layers.embedding(x, embedding_dim)


def build_small_resnet(
    layers: TorchLayers, x: keras.KerasTensor, embedding_dim: int, large: bool = False
) -> keras.KerasTensor:
    """One block per stage, a quarter of the width: 324,048 parameters, the same for all sizes."""
    return build_resnet(layers, x, embedding_dim, basic_block, (1, 1, 1, 1), width=16)


def basic_block(
    layers: TorchLayers, x: keras.KerasTensor, filters: int, stride: int, prefix: str, name: str
) -> keras.KerasTensor:
    """Two 3x3 convolutions; `name` is the name of the last ReLU."""
    shortcut = _shortcut(layers, x, filters, stride, prefix)
    x = layers.convolution(x, filters, 3, stride, name=f"{prefix}_conv1")
    x = layers.relu(layers.batch_norm(x, name=f"{prefix}_bn1"), name=f"{prefix}_relu1")
    x = layers.convolution(x, filters, 3, name=f"{prefix}_conv2")
    x = layers.batch_norm(x, name=f"{prefix}_bn2")
    return _join(layers, x, shortcut, prefix, name)


def bottleneck_block(
    layers: TorchLayers, x: keras.KerasTensor, filters: int, stride: int, prefix: str, name: str
) -> keras.KerasTensor:
    """1x1, 3x3, 1x1 to four times `filters`; `name` is the name of the last ReLU."""
    shortcut = _shortcut(layers, x, 4 * filters, stride, prefix)
    x = layers.convolution(x, filters, 1, name=f"{prefix}_conv1")
    x = layers.relu(layers.batch_norm(x, name=f"{prefix}_bn1"), name=f"{prefix}_relu1")
    x = layers.convolution(x, filters, 3, stride, name=f"{prefix}_conv2")
    x = layers.relu(layers.batch_norm(x, name=f"{prefix}_bn2"), name=f"{prefix}_relu2")
    x = layers.convolution(x, 4 * filters, 1, name=f"{prefix}_conv3")
    x = layers.batch_norm(x, name=f"{prefix}_bn3")
    return _join(layers, x, shortcut, prefix, name)


def _shortcut(layers, x, filters, stride, prefix):
    if stride == 1 and x.shape[-1] == filters:
        return x
    x = layers.convolution(x, filters, 1, stride, name=f"{prefix}_shortcut_conv")
    return layers.batch_norm(x, name=f"{prefix}_shortcut_bn")


def _join(layers, x, shortcut, prefix, name):
    x = layers.add(x, shortcut, name=f"{prefix}_add")
    return layers.relu(x, name=name)
