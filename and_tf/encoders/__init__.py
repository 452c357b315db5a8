"""Encoders: networks from images in 0..255 to embeddings of unit length."""

import functools
from collections.abc import Sequence

import keras

from and_tf.encoders.alexnet import large_alexnet, small_alexnet
from and_tf.encoders.layers import TorchLayers, normalised_input
from and_tf.encoders.resnet import basic_block, bottleneck_block, resnet

LARGEST_SMALL_SIDE = 64  # pixels; above it the networks are those for ImageNet

_RESNETS = {
    "resnet18": functools.partial(resnet, block=basic_block, blocks_per_stage=(2, 2, 2, 2)),
    "resnet34": functools.partial(resnet, block=basic_block, blocks_per_stage=(3, 4, 6, 3)),
    "resnet50": functools.partial(resnet, block=bottleneck_block, blocks_per_stage=(3, 4, 6, 3)),
}
NAMES = ("alexnet", *_RESNETS, "resnet_small")

_ALEXNET_LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
_RESNET_LAYERS = ("stem", "stage1", "stage2", "stage3", "stage4")


def build_encoder(
    name: str,
    input_shape: Sequence[int] = (32, 32, 3),
    embedding_dim: int = 128,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    synchronized_batch_norm: bool = False,
    seed: int | None = None,
) -> keras.Model:
    """An encoder with fresh weights.

    Args:
        name: `alexnet`, `resnet18`, `resnet34`, `resnet50`, which get ImageNet's first layers for
            sides above 64, or `resnet_small`, 324,048 parameters and one form for all sizes.
        input_shape: (side, side, channels).
        embedding_dim: int, D.
        mean: a number a channel, in 0..255, taken off inside the encoder; None for 127.5.
        std: a number a channel, in 0..255, divided by after that; None for 64.
        synchronized_batch_norm: bool, whether BatchNorm statistics span all replicas.
        seed: int or None. The same seed gives the same weights.

    Returns:
        A functional `keras.Model`: (B, side, side, channels) uint8 or float images in 0..255 to
        (B, D) float32 rows of unit length. It follows `keras.mixed_precision`'s global policy and
        is made of built-in layers only: `encoder.save("x.keras")` loads without this package.

    Example:

    >>> encoder = and_tf.build_encoder("resnet18", input_shape=(32, 32, 3), embedding_dim=128)
    >>> embeddings = encoder.predict(images)
    """
    if name not in NAMES:
        raise ValueError(f"Unknown encoder {name!r}. Known encoders: {', '.join(NAMES)}.")
    side, channels = _check_shape(input_shape)
    mean = _per_channel("mean", mean, default=127.5, channels=channels)
    std = _per_channel("std", std, default=64.0, channels=channels)
    if min(std) <= 0:
        raise ValueError(f"std must be above 0, in units of 0..255. Received std={std}.")
    if embedding_dim < 1:
        raise ValueError(f"embedding_dim must be at least 1. Received {embedding_dim}.")

    layers = TorchLayers(seed=seed, synchronized_batch_norm=synchronized_batch_norm)
    images, x = normalised_input((side, side, channels), mean, std)
    large = side > LARGEST_SMALL_SIDE
    if name == "alexnet":
        embeddings = (large_alexnet if large else small_alexnet)(layers, x, embedding_dim)
    elif name == "resnet_small":
        embeddings = resnet(layers, x, embedding_dim, basic_block, (1, 1, 1, 1), width=16)
    else:
        embeddings = _RESNETS[name](layers, x, embedding_dim, large=large)
    return keras.Model(images, embeddings, name=name)


def layer_names(encoder: keras.Model) -> list[str]:
    """The layers whose features can be evaluated, from the image to the embedding.

    Returns:
        A list of str: conv1..conv5 and fc, or stem, stage1..stage4 and fc.
    """
    present = {layer.name for layer in encoder.layers}
    return [name for name in (*_ALEXNET_LAYERS, *_RESNET_LAYERS, "fc") if name in present]


def resolve_layer(encoder: keras.Model, name: str) -> str:
    """The encoder's own name of a layer; conv1..conv5 mean stem, stage1..stage4 on a ResNet."""
    known = layer_names(encoder)
    if name in known:
        return name
    alias = dict(zip(_ALEXNET_LAYERS, _RESNET_LAYERS, strict=True)).get(name)
    if alias in known:
        return alias
    raise ValueError(f"{encoder.name} has no layer {name!r}. Its layers: {', '.join(known)}.")


def features(encoder: keras.Model, layer: str) -> keras.Model:
    """A model that gives one layer's output and shares the encoder's weights.

    Args:
        encoder: an encoder from `build_encoder`, or one loaded from a `.keras` file.
        layer: one of `layer_names(encoder)`, or an alias. Convolutional layers give their maps
            after the ReLU and before any pool; `fc` gives the L2-normalised embedding.

    Returns:
        `keras.Model`, (B, side, side, channels) to (B, h, w, filters), or to (B, D) for `fc`.
    """
    layer = resolve_layer(encoder, layer)
    output = encoder.get_layer("embedding" if layer == "fc" else layer).output
    return keras.Model(encoder.input, output, name=f"{encoder.name}_{layer}")


def _check_shape(input_shape):
    input_shape = tuple(input_shape)
    if len(input_shape) != 3 or input_shape[0] != input_shape[1] or min(input_shape) < 1:
        raise ValueError(
            f"input_shape must be (side, side, channels), square. Received {input_shape}."
        )
    if input_shape[0] < 8:
        raise ValueError(
            f"Images must have a side of at least 8 pixels, which the encoders halve three times. "
            f"Received input_shape={input_shape}."
        )
    return input_shape[1:]


def _per_channel(name, values, default, channels):
    values = [default] * channels if values is None else [float(value) for value in values]
    if len(values) != channels:
        raise ValueError(
            f"{name} needs one number a channel, in 0..255. Received {len(values)} numbers "
            f"for {channels} channels."
        )
    return values
