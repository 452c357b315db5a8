"""Encoders with fresh weights, by name."""

from collections.abc import Sequence
from typing import Any

import keras

from and_tf.encoders import ENCODERS
from and_tf.encoders.keras_settings import check_image_format
from and_tf.encoders.layers import TorchLayers, normalised_input
from and_tf.encoders.split import SplitLayers, split_input
from and_tf.errors import Argument, UserError

LARGEST_SMALL_SIDE = 64  # pixels; above it the networks are those for ImageNet


def build_encoder(
    name: str,
    input_shape: Sequence[int] = (32, 32, 3),
    embedding_dim: int = 128,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    synchronized_batch_norm: bool = False,
    seed: int | None = None,
    split: bool = False,
) -> keras.Model:
    """An encoder with fresh weights.

    Args:
        name: `alexnet`, `resnet18`, `resnet34` or `resnet50`, which have ImageNet's first layers
            for sides above 64; or `resnet_small`, 324,048 parameters and the same for all sizes.
        input_shape: (side, side, channels).
        embedding_dim: int, D.
        mean: one value per channel, in 0..255, subtracted inside the encoder; None for 127.5.
        std: one value per channel, in units of 0..255, by which the result is divided; None for 64.
        synchronized_batch_norm: bool, whether BatchNorm statistics span all replicas.
        seed: int or None. The same seed gives the same weights.
        split: bool, whether to build two networks of half the width, as Split-Brain trains them:
            one sees the lightness of an image, the other its colour; see `SplitLayers`. Requires
            three channels, RGB, and an even embedding_dim; mean and std are ignored.

    Returns:
        A functional `keras.Model`: (B, side, side, channels) uint8 or float images in 0..255 to
        (B, D) float32 rows of unit length. It follows `keras.mixed_precision`'s global policy and
        is made of built-in layers only: `encoder.save("x.keras")` loads without this package.

    Example:

    >>> encoder = and_tf.build_encoder("resnet18", input_shape=(32, 32, 3), embedding_dim=128)
    >>> embeddings = encoder.predict(images)
    """
    check_image_format()
    if name not in ENCODERS:
        raise UserError(Argument("encoder", name), f" must be one of {', '.join(ENCODERS)}.")
    side, channels = _check_shape(input_shape)
    mean = _per_channel("mean", mean, default=127.5, channels=channels)
    std = _per_channel("std", std, default=64.0, channels=channels)
    if min(std) <= 0:
        raise UserError(Argument("std", std), ": each value must be above 0, in units of 0..255.")
    if embedding_dim < 1:
        raise UserError(Argument("embedding_dim", embedding_dim), " must be at least 1.")

    layers: Any = TorchLayers(seed=seed, synchronized_batch_norm=synchronized_batch_norm)
    x: Any
    if split:
        _check_split(input_shape, embedding_dim)
        images, x = split_input(side)
        layers = SplitLayers(layers)
    else:
        images, x = normalised_input((side, side, channels), mean, std)
    embeddings = ENCODERS[name](layers, x, embedding_dim, large=side > LARGEST_SMALL_SIDE)
    return keras.Model(images, embeddings, name=f"split_{name}" if split else name)


def _check_shape(input_shape: Sequence[int]) -> tuple[int, int]:
    """Checks an input shape and returns the side and the number of channels."""
    shape = tuple(input_shape)
    if len(shape) != 3 or shape[0] != shape[1] or min(shape) < 1:
        raise UserError(Argument("input_shape", shape), " must be (side, side, channels), square.")
    if shape[0] < 8:
        raise UserError(
            Argument("input_shape", shape), ": images must have a side of at least 8 pixels, which "
            "the encoders halve three times.",
        )  # fmt: skip
    return shape[1], shape[2]


def _check_split(input_shape: Sequence[int], embedding_dim: int) -> None:
    if tuple(input_shape)[2] != 3:
        raise UserError(
            Argument("input_shape", tuple(input_shape)), " must have 3 channels, red, green and "
            "blue, to be split into lightness and colour.",
        )  # fmt: skip
    if embedding_dim % 2:
        raise UserError(
            Argument("embedding_dim", embedding_dim), " must be even: each half of a split "
            "encoder gives half of it.",
        )  # fmt: skip


def _per_channel(
    name: str, values: Sequence[float] | None, default: float, channels: int
) -> list[float]:
    values = [default] * channels if values is None else [float(value) for value in values]
    if len(values) != channels:
        raise UserError(
            Argument(name, values), f" must hold one value for each of {channels} channels."
        )
    return values
