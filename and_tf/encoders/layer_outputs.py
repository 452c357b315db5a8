"""The features of an encoder: its layers by name, and a model that outputs one of them."""

import difflib
from typing import Any

import keras

from and_tf.encoders.stages import ALEXNET_LAYERS, EMBEDDING, RESNET_LAYERS
from and_tf.errors import Argument, UserError

LISTED = 3  # names of layers in a message, out of hundreds


def layer_names(encoder: keras.Model) -> list[str]:
    """The layers whose features can be evaluated, from the image to the embedding.

    Returns:
        A list of str: conv1..conv5 and fc, or stem, stage1..stage4 and fc. In other networks, whose
        layers have other names, stem, stage1, ... are the last layers at each resolution.
    """
    present = {layer.name for layer in encoder.layers}
    named = [name for name in (*ALEXNET_LAYERS, *RESNET_LAYERS) if name in present]
    stages = named or list(_stages(encoder))
    return stages + [EMBEDDING] * bool({EMBEDDING, "embedding"} & present)


def _stages(encoder: keras.Model) -> dict[str, str]:
    """{stem, stage1, ...: the last layer at each resolution}, from the finest to the coarsest.

    Resolutions at which no layer has weights, such as that of the image, are left out. Padding
    layers are skipped. There may be more than five.
    """
    last: dict[int, str] = {}
    weighted: set[int] = set()
    for layer in encoder.layers:
        output: Any = layer.output
        is_map = isinstance(output, keras.KerasTensor) and len(output.shape) == 4
        if not is_map or isinstance(layer, keras.layers.ZeroPadding2D | keras.layers.InputLayer):
            continue
        side = output.shape[1]
        if side is None or (last and side > min(last)) or side == 1:
            continue
        last[side] = layer.name
        if layer.weights:
            weighted.add(side)
    sides = sorted(weighted, reverse=True)
    return {
        "stem" if number == 0 else f"stage{number}": last[side] for number, side in enumerate(sides)
    }


def resolve_layer(encoder: keras.Model, name: str) -> str:
    """The name of a layer as in `layer_names`, or the exact name of any other layer.

    conv1..conv5 mean stem, stage1..stage4 if the encoder has these.

    Raises:
        UserError: if there is no such layer; names those that exist.
    """
    known = layer_names(encoder)
    if name in known:
        return name
    alias = dict(zip(ALEXNET_LAYERS, RESNET_LAYERS, strict=True)).get(name)
    if alias in known:
        return alias
    if any(layer.name == name for layer in encoder.layers):
        return name
    others = [layer.name for layer in encoder.layers if layer.name not in known]
    close = difflib.get_close_matches(name, others, n=LISTED) or others[-LISTED:]
    raise UserError(
        Argument("layer", name), f": {encoder.name} has no layer {name!r}. Its layers: "
        f"{', '.join(known)}; and by their exact names the {len(others):,} others, such as "
        f"{', '.join(close)}.",
    )  # fmt: skip


def layer_output(encoder: keras.Model, name: str) -> keras.KerasTensor:
    """The output of a layer, given by a name or alias that `resolve_layer` knows."""
    name = resolve_layer(encoder, name)
    present = {layer.name for layer in encoder.layers}
    if name == EMBEDDING and "embedding" in present:
        return encoder.get_layer("embedding").output
    return encoder.get_layer(name if name in present else _stages(encoder)[name]).output


def before_normalisation(encoder: keras.Model) -> keras.KerasTensor:
    """The vectors (B, D) that an encoder scales to unit length: of `fc`, or pooled features."""
    names = {layer.name for layer in encoder.layers}
    unit_rows = "unit_embedding" if "unit_embedding" in names else "embedding"
    for layer in reversed(encoder.layers):
        brings_to_unit_length = layer.name == unit_rows or isinstance(
            layer, keras.layers.UnitNormalization
        )
        if len(layer.output.shape) == 2 and not brings_to_unit_length:
            return layer.output
    raise UserError(f"{encoder.name} gives no vectors.")


def features(encoder: keras.Model, layer: str) -> keras.Model:
    """A model that outputs one layer of an encoder and shares its weights.

    Args:
        encoder: an encoder from `build_encoder`, or one loaded from a `.keras` file.
        layer: one of `layer_names(encoder)`, an alias, or the exact name of any layer.
            Convolutional layers output maps, those of `build_encoder` after the ReLU and before any
            pool; `fc` outputs the L2-normalised embedding.

    Returns:
        `keras.Model`, (B, side, side, channels) to (B, h, w, filters), or to (B, D) for `fc`.
    """
    layer = resolve_layer(encoder, layer)
    return keras.Model(encoder.input, layer_output(encoder, layer), name=f"{encoder.name}_{layer}")
