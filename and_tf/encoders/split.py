"""Split-Brain's encoder: two networks of half the width, for lightness and for colour, in one."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import keras
from keras import ops

from and_tf.data.lab import lab_from_rgb
from and_tf.encoders.layers import TorchLayers, unit_rows
from and_tf.encoders.stages import ALEXNET_LAYERS, EMBEDDING, RESNET_LAYERS

HALVES = ("lightness", "colour")  # what each half sees, and the suffix of its layers' names
LAB = "lab"  # the layer that outputs the image in Lab

# The constants of Lab are rounded, so a and b of grey pixels are up to 0.005, not 0, and follow the
# lightness. Batch normalisation would amplify that, and rounding errors with it, on grey images.
# The other colours of 8 bits have one of the two above 0.26.
COLOURLESS = 0.05


class Halves(NamedTuple):
    """The maps (B, H, W, C) of both halves."""

    lightness: keras.KerasTensor
    colour: keras.KerasTensor

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of both, concatenated."""
        *places, _ = self.lightness.shape
        return (*places, self.lightness.shape[-1] + self.colour.shape[-1])


def split_input(side: int) -> tuple[keras.KerasTensor, Halves]:
    """An input for sRGB images (B, side, side, 3) in 0..255, and the part that each half sees.

    Returns:
        The images, and L (B, side, side, 1) and ab (B, side, side, 2), centred, in units of 25.
        Grey images have exactly the same ab everywhere, 0.
    """
    images = keras.Input((side, side, 3), dtype="float32", name="images")
    lab = keras.layers.Activation("linear", dtype="float32", name=LAB)(lab_from_rgb(images))
    lightness, a, b = ops.split(lab, 3, axis=-1)
    colour = ops.concatenate([a, b], axis=-1)
    colour = ops.where(ops.abs(colour) > COLOURLESS, colour, 0.0)
    return images, Halves(
        keras.layers.Rescaling(1 / 25, offset=-2, dtype="float32", name="lightness")(lightness),
        keras.layers.Rescaling(1 / 25, dtype="float32", name="colour")(colour),
    )


@dataclasses.dataclass(frozen=True)
class SplitLayers:
    """Has the methods of `TorchLayers`, each of which makes a layer in both halves.

    The halves are not connected. Numbers of filters and units are those of both together. The
    layers whose features are evaluated have the usual names and hold both halves, lightness first,
    each of which continues with its own part: `conv1` of an `alexnet` has 32 and 32 filters. The
    names of a single half's layers end in the half's name, as in `conv1_conv_lightness`.

    Both are convolutional to the end, as in the original: all layers after the last maps, including
    AlexNet's hidden layers, act at each position, and the pool after conv5 is left out. So a half
    ends in a map of D / 2 numbers per position, `fc_lightness` or `fc_colour`, from which the
    method predicts what the half does not see. `fc` is the mean of both over all positions.

    Reference: Zhang et al., Split-Brain Autoencoders, CVPR 2017.
    """

    layers: TorchLayers

    def convolution(
        self, x: Halves, filters: int, *shape: Any, name: str, **options: Any
    ) -> Halves:
        return self._each("convolution", x, name, filters // 2, *shape, **options)

    def dense(self, x: Halves, units: int, name: str) -> Halves:
        """A 1x1 convolution, which acts at each position."""
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
        """Does nothing: positions are kept to the end."""
        return x

    def flatten(self, x: Halves, name: str) -> Halves:
        """Does nothing: positions are kept to the end."""
        return x

    def add(self, x: Halves, other: Halves, name: str) -> Halves:
        return Halves(
            self.layers.add(x.lightness, other.lightness, name=f"{name}_lightness"),
            self.layers.add(x.colour, other.colour, name=f"{name}_colour"),
        )

    def embedding(self, x: Halves, embedding_dim: int) -> keras.KerasTensor:
        """The maps that predict, and their means over all positions, scaled to unit length."""
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
    """The same maps, passed through a layer of this name that holds both."""
    whole = keras.layers.Concatenate(name=name)(list(x))  # (B, H, W, C)
    return Halves(*ops.split(whole, 2, axis=-1))
