"""Split-Brain's encoder: two networks of half the width, for lightness and for colour, in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from and_tf.data.lab import lab_from_rgb
from and_tf.encoders import ENCODERS
from and_tf.encoders.build import LARGEST_SMALL_SIDE, check_shape
from and_tf.encoders.layers import TorchLayers, unit_rows
from and_tf.encoders.stages import ALEXNET_LAYERS, EMBEDDING, RESNET_LAYERS
from and_tf.errors import Argument, UserError

HALVES = ("lightness", "colour")  # what each sees of the image, and how its layers' names end
LAB = "lab"  # the layer that gives the image in Lab


def build_split_encoder(
    name: str,
    input_shape: Sequence[int] = (32, 32, 3),
    embedding_dim: int = 128,
    synchronized_batch_norm: bool = False,
    seed: int | None = None,
) -> keras.Model:
    """Two networks with fresh weights and half the channels each, which share no connection.

    One sees the lightness L of an image, the other its colour ab. Layers have the names of
    `build_encoder`'s and give both halves, lightness first: `conv1` of an `alexnet` holds 32 and 32
    filters. Those of a half end in its name, as in `conv1_conv_lightness`.

    Both are convolutional to the end, as the original is: what follows the last maps acts at each
    of their places, AlexNet's hidden layers too, and the pool after conv5 is left out. So each half
    ends in a map of D / 2 numbers a place, `fc_lightness` and `fc_colour`, from which the method
    predicts what the half does not see. `fc` is the mean of both over all places.

    Args:
        name: as in `build_encoder`.
        input_shape: (side, side, 3).
        embedding_dim: D, even.
        synchronized_batch_norm, seed: as in `build_encoder`.

    Returns:
        A functional `keras.Model` as `build_encoder` gives it, (B, side, side, 3) sRGB images in
        0..255 to (B, D) unit rows. The conversion to Lab is within.

    Reference: Zhang et al., CVPR 2017.
    """
    if name not in ENCODERS:
        raise UserError(Argument("encoder", name), f" must be one of {', '.join(ENCODERS)}.")
    side, channels = check_shape(input_shape)
    if channels != 3:
        raise UserError(Argument("input_shape", tuple(input_shape)), " must have 3 channels, RGB.")
    if embedding_dim < 2 or embedding_dim % 2:
        raise UserError(
            Argument("embedding_dim", embedding_dim), " must be even: each half gives one half."
        )
    images = keras.Input((side, side, 3), dtype="float32", name="images")
    halves = _split_images(images)
    layers = SplitLayers(TorchLayers(seed, synchronized_batch_norm))
    embeddings = ENCODERS[name](layers, halves, embedding_dim, large=side > LARGEST_SMALL_SIDE)
    return keras.Model(images, embeddings, name=f"split_{name}")


class Halves(NamedTuple):
    """The maps (B, H, W, C) of both halves."""

    lightness: keras.KerasTensor
    colour: keras.KerasTensor

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of both, concatenated."""
        *places, _ = self.lightness.shape
        return (*places, self.lightness.shape[-1] + self.colour.shape[-1])


def _split_images(images: keras.KerasTensor) -> Halves:
    """L (B, H, W, 1) and ab (B, H, W, 2), centred; both in units of 25."""
    lab = keras.layers.Activation("linear", dtype="float32", name=LAB)(lab_from_rgb(images))
    lightness, a, b = ops.split(lab, 3, axis=-1)
    colour = ops.concatenate([a, b], axis=-1)
    return Halves(
        keras.layers.Rescaling(1 / 25, offset=-2, dtype="float32", name="lightness")(lightness),
        keras.layers.Rescaling(1 / 25, dtype="float32", name="colour")(colour),
    )


@dataclasses.dataclass(frozen=True)
class SplitLayers:
    """In place of `TorchLayers`, and with its methods: each makes a layer in either half.

    Filters and units are those of both halves. A layer whose features are evaluated is both,
    concatenated, and the halves go on with a part of it each.
    """

    layers: TorchLayers

    def convolution(
        self, x: Halves, filters: int, *shape: Any, name: str, **options: Any
    ) -> Halves:
        return self._each("convolution", x, name, filters // 2, *shape, **options)

    def dense(self, x: Halves, units: int, name: str) -> Halves:
        """At each place."""
        return self._each("convolution", x, name, units // 2, 1, use_bias=True)

    def batch_norm(self, x: Halves, name: str) -> Halves:
        return self._each("batch_norm", x, name)

    def relu(self, x: Halves, name: str) -> Halves:
        x = self._each("relu", x, name)
        return _joined(x, name) if name in (*ALEXNET_LAYERS, *RESNET_LAYERS) else x

    def max_pool(self, x: Halves, *shape: int, name: str, **options: int) -> Halves:
        if name == "pool5":  # the predictions are made at the resolution of conv5
            return x
        return self._each("max_pool", x, name, *shape, **options)

    def average_pool(self, x: Halves, name: str) -> Halves:
        """Nothing: places are kept to the end."""
        return x

    def flatten(self, x: Halves, name: str) -> Halves:
        """Nothing: places are kept to the end."""
        return x

    def add(self, x: Halves, other: Halves, name: str) -> Halves:
        return Halves(
            *(
                self.layers.add(*pair, name=f"{name}_{half}")
                for *pair, half in zip(x, other, HALVES, strict=True)
            )
        )

    def embedding(self, x: Halves, embedding_dim: int) -> keras.KerasTensor:
        """The maps that predict, then their means over all places: rows of unit length."""
        maps = self.dense(x, embedding_dim, name=EMBEDDING)  # (B, h, w, D / 2) each
        whole = keras.layers.Concatenate(dtype="float32", name=f"{EMBEDDING}_maps")(list(maps))
        return unit_rows(
            keras.layers.GlobalAveragePooling2D(dtype="float32", name=EMBEDDING)(whole)
        )

    def _each(self, method: str, x: Halves, name: str, *values: Any, **options: Any) -> Halves:
        make = getattr(self.layers, method)
        return Halves(
            *(
                make(half, *values, name=f"{name}_{suffix}", **options)
                for half, suffix in zip(x, HALVES, strict=True)
            )
        )


def _joined(x: Halves, name: str) -> Halves:
    """The same maps, by way of a layer of this name that holds both."""
    whole = keras.layers.Concatenate(name=name)(list(x))  # (B, H, W, C)
    return Halves(*ops.split(whole, 2, axis=-1))
