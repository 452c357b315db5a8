"""Split-Brain as a Keras model: an encoder in two halves, with a head on each."""

from typing import Any

import keras
import tensorflow as tf

from and_tf.encoders.layers import TorchLayers
from and_tf.encoders.split import LAB
from and_tf.errors import Argument, UserError
from and_tf.methods.method_model import MethodModel
from and_tf.methods.split_brain.bins import LIGHTNESS_BINS, colour_bins
from and_tf.methods.split_brain.loss import split_brain_losses

HEADS = "heads/"  # prefix of their arrays' names in a checkpoint


@keras.saving.register_keras_serializable("and_tf")
class SplitBrainModel(MethodModel):
    """An encoder in two halves, trained to predict ab from L and L from ab.

    The heads, a 1 x 1 convolution on the last feature map of each half, are not part of the
    encoder.

    Args:
        encoder: from `build_encoder(..., split=True)`.
        num_samples: number of training images N.
        seed: of the heads' weights, or None.
        **kwargs: of `keras.Model`.

    Raises:
        UserError: if the encoder is not made of two halves.

    Reference: Zhang et al., Split-Brain Autoencoders, CVPR 2017.
    """

    def __init__(
        self, encoder: keras.Model, num_samples: int, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(encoder, num_samples, **kwargs)
        self.seed = seed
        self.predictor = build_predictor(self.encoder, seed)

    def losses_and_gradients(
        self, images: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[()], list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            losses = split_brain_losses(*self.predictor(images, training=True))  # (B,)
            loss = tf.reduce_sum(weights * losses)
        return losses, (), tape.gradient(loss, self.trainable_variables)

    def losses(self, images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        return split_brain_losses(*self.predictor(images, training=False))

    def round_state(self) -> dict[str, keras.Variable]:
        return head_state(self.predictor)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"seed": self.seed}


def build_predictor(encoder: keras.Model, seed: int | None = None) -> keras.Model:
    """Builds a model of both halves' predictions, with newly initialised heads.

    Args:
        encoder: from `build_encoder(..., split=True)`; its layers are shared.
        seed: of the heads' weights.

    Returns:
        keras.Model from images (B, H, W, 3) in 0..255 to logits of colour (B, h, w, Q), logits of
        lightness (B, h, w, 100), and the images in Lab (B, H, W, 3).

    Raises:
        UserError: if the encoder is not made of two halves.
    """
    try:
        maps = [encoder.get_layer(f"fc_{half}").output for half in ("lightness", "colour")]
        lab = encoder.get_layer(LAB).output
    except ValueError as error:
        raise UserError(
            Argument("encoder"), f" {encoder.name} is not made of two halves: build it with ",
            Argument("split", True), ".",
        ) from error  # fmt: skip
    layers = TorchLayers(seed)
    colour = layers.convolution(
        maps[0], len(colour_bins()), 1, use_bias=True, name="predict_colour"
    )
    lightness = layers.convolution(
        maps[1], LIGHTNESS_BINS, 1, use_bias=True, name="predict_lightness"
    )
    return keras.Model(encoder.input, [colour, lightness, lab], name=f"{encoder.name}_predictor")


def head_state(predictor: keras.Model) -> dict[str, keras.Variable]:
    """The variables of the heads by their names in a checkpoint."""
    layers = [predictor.get_layer(f"predict_{what}") for what in ("colour", "lightness")]
    return {f"{HEADS}{layer.name}/{v.name}": v for layer in layers for v in layer.variables}
