"""Makes any network output rows of unit length."""

import functools
from typing import Any

import keras
from keras import ops

from and_tf.encoders.layers import unit_rows
from and_tf.errors import Argument, UserError


def with_unit_rows(encoder: keras.Model) -> keras.Model:
    """The encoder itself if it ends in unit rows, else a model that makes them from its output.

    Maps (B, H, W, C) are averaged over their positions first. Weights are shared with the encoder.

    Args:
        encoder: keras.Model from images (B, H, W, C) to one output (B, D) or (B, H, W, C):
            functional, `Sequential` or subclassed, and built.

    Returns:
        keras.Model, images to (B, D) float32 rows of unit length.

    Raises:
        UserError: if it is not a built model with one input and one such output; says what to do.
    """
    if not isinstance(encoder, keras.Model):
        raise UserError(
            Argument("encoder"), f" must be a keras.Model. Received {type(encoder).__name__}."
        )
    if has_unit_rows(encoder):
        return encoder
    images, output = _tensors(encoder)
    output = _only_output(output, encoder.name)
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(dtype="float32")(output)
    elif len(output.shape) != 2:
        raise UserError(
            Argument("encoder"), f" {encoder.name} gives an output of shape {output.shape}, and "
            "not (B, D) or (B, H, W, C): end it in a layer such as GlobalAveragePooling1D.",
        )  # fmt: skip
    if output.shape[-1] is None:
        raise UserError(
            Argument("encoder"), f" {encoder.name} does not define the length of its rows "
            f"({output.shape}): give its input a fixed size.",
        )  # fmt: skip
    taken = {layer.name for layer in encoder.layers}
    name = "unit_embedding" if "embedding" in taken else "embedding"
    output = unit_rows(ops.cast(output, "float32"), name)
    return keras.Model(images, output, name=f"{encoder.name}_unit")


def has_unit_rows(encoder: keras.Model) -> bool:
    """Whether a functional or `Sequential` model ends in layers that output rows of unit length."""
    if not encoder.built or len(getattr(encoder, "outputs", None) or []) != 1:
        return False
    operations = getattr(encoder, "operations", encoder.layers)
    last = operations[-1]
    if isinstance(last, keras.Model):
        return has_unit_rows(last)
    if isinstance(last, keras.layers.UnitNormalization):
        return len(encoder.outputs[0].shape) == 2 and last.axis in (-1, 1)
    head = _head_operations()
    return tuple(type(operation) for operation in operations[-len(head) :]) == head


@functools.cache
def _head_operations() -> tuple[type, ...]:
    """The operations of `unit_rows`, in order."""
    x = keras.Input((2,))
    return tuple(type(operation) for operation in keras.Model(x, unit_rows(x)).operations[1:])


def _tensors(encoder: keras.Model) -> tuple[Any, Any]:
    """Symbolic images and the encoder's output for them."""
    if getattr(encoder, "inputs", None):  # functional: its layers remain accessible
        if len(encoder.inputs) != 1:
            raise UserError(
                Argument("encoder"), f" {encoder.name} takes {len(encoder.inputs)} inputs and must "
                "take only images.",
            )  # fmt: skip
        return encoder.inputs[0], encoder.outputs
    shape = (encoder.get_build_config() or {}).get("input_shape") if encoder.built else None
    if shape is None:
        raise UserError(
            Argument("encoder"), f" {encoder.name} is not built yet, so the length of its rows is "
            "unknown: call it on a batch first, as in encoder(images[:1]).",
        )  # fmt: skip
    images = keras.Input(tuple(shape)[1:], name="images")
    return images, encoder(images)


def _only_output(output: Any, name: str) -> keras.KerasTensor:
    outputs = keras.tree.flatten(output)
    if len(outputs) != 1:
        raise UserError(
            Argument("encoder"), f" {name} gives {len(outputs)} outputs and must give one: make a "
            "keras.Model of the one to train.",
        )  # fmt: skip
    return outputs[0]
