"""A second head on the trunk of an encoder, used only in training."""

from collections.abc import Callable

import keras
import tensorflow as tf

from and_tf.encoders.layers import TorchLayers, unit_rows
from and_tf.errors import Argument, UserError

NAME = "group_head"


def with_group_head(
    encoder: keras.Model, seed: int | None
) -> tuple[keras.layers.Dense, Callable[..., list[tf.Tensor]]]:
    """Adds a second head to an encoder: a dense layer on the same features, then unit rows.

    Args:
        encoder: a functional or `Sequential` model that ends in a dense layer and unit rows.
        seed: of the head's weights.

    Returns:
        The head's dense layer, as wide as the encoder's; and a function called like the encoder
        that returns its embeddings (B, D) and those of the head, (B, D) float32.

    Raises:
        UserError: if the encoder does not end in a dense layer.
    """
    before_rows = encoder.layers[-2] if len(encoder.layers) > 1 else None
    if not isinstance(before_rows, keras.layers.Dense):
        raise UserError(
            Argument("group_weight"), f" puts a second head next to the dense layer at the end of "
            f"the encoder, and {encoder.name} has none there: add one by ",
            Argument("embedding_dim"), ", or leave this out.",
        )  # fmt: skip
    trunk = before_rows.input  # (B, F)
    rows = TorchLayers(seed).dense(trunk, encoder.output_shape[-1], name=NAME, dtype="float32")
    both = keras.Model(encoder.inputs, [encoder.outputs[0], unit_rows(rows, f"{NAME}_rows")])
    # A function: Keras would track a model attribute and train and save it as well.
    return both.get_layer(NAME), lambda images, training: both(images, training=training)
