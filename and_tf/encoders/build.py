"""Encoders with fresh weights, by name."""

from collections.abc import Sequence

import keras

from and_tf.encoders import ENCODERS
from and_tf.encoders.layers import TorchLayers, normalised_input
from and_tf.errors import UserError

LARGEST_SMALL_SIDE = 64  # pixels; above it the networks are those for ImageNet


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
    if name not in ENCODERS:
        raise UserError(f"Unknown encoder {name!r}. Known encoders: {', '.join(ENCODERS)}.")
    side, channels = _check_shape(input_shape)
    mean = _per_channel("mean", mean, default=127.5, channels=channels)
    std = _per_channel("std", std, default=64.0, channels=channels)
    if min(std) <= 0:
        raise UserError(f"std must be above 0, in units of 0..255. Received std={std}.")
    if embedding_dim < 1:
        raise UserError(f"embedding_dim must be at least 1. Received {embedding_dim}.")

    layers = TorchLayers(seed=seed, synchronized_batch_norm=synchronized_batch_norm)
    images, x = normalised_input((side, side, channels), mean, std)
    embeddings = ENCODERS[name](layers, x, embedding_dim, large=side > LARGEST_SMALL_SIDE)
    return keras.Model(images, embeddings, name=name)


def _check_shape(input_shape):
    input_shape = tuple(input_shape)
    if len(input_shape) != 3 or input_shape[0] != input_shape[1] or min(input_shape) < 1:
        raise UserError(
            f"input_shape must be (side, side, channels), square. Received {input_shape}."
        )
    if input_shape[0] < 8:
        raise UserError(
            f"Images must have a side of at least 8 pixels, which the encoders halve three times. "
            f"Received input_shape={input_shape}."
        )
    return input_shape[1:]


def _per_channel(name, values, default, channels):
    values = [default] * channels if values is None else [float(value) for value in values]
    if len(values) != channels:
        raise UserError(
            f"{name} needs one number a channel, in 0..255. Received {len(values)} numbers "
            f"for {channels} channels."
        )
    return values
