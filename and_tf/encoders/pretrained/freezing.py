"""Parts of an encoder that training leaves as they are."""

from collections.abc import Sequence

import keras

from and_tf.encoders.layer_outputs import layer_names, layer_output, resolve_layer
from and_tf.errors import Argument, UserError

ALL = "all"
BATCH_NORM = "batch_norm"


def freeze(encoder: keras.Model, parts: Sequence[str]) -> list[str]:
    """Makes parts of an encoder untrainable; BatchNorm there uses its moving averages unchanged.

    Args:
        encoder: changed in place.
        parts: names of `layer_names(encoder)`, each of which stands for itself and all layers after
            the previous name; the exact name of a single other layer; `batch_norm` for every
            BatchNorm; or `all`.

    Returns:
        Names of the layers with weights that are frozen.

    Raises:
        UserError: if there is no such part.
    """
    chosen: set[str] = set()
    for part in parts:
        chosen |= _layers_of(encoder, part)
    frozen = []
    for layer in encoder.layers:
        if layer.name in chosen:
            layer.trainable = False
            frozen += [layer.name] if layer.variables else []
    return frozen


def _layers_of(encoder: keras.Model, part: str) -> set[str]:
    if part == ALL:
        return {layer.name for layer in encoder.layers}
    if part == BATCH_NORM:
        kind = keras.layers.BatchNormalization
        return {layer.name for layer in encoder.layers if isinstance(layer, kind)}
    names = layer_names(encoder)
    try:
        name = resolve_layer(encoder, part)
    except UserError as error:
        raise UserError(
            Argument("freeze", part), f" is not part of {encoder.name}: choose from "
            f"{', '.join(names)}, {BATCH_NORM} and {ALL}, or name a layer.",
        ) from error  # fmt: skip
    if name not in names:
        return {name}
    place = names.index(name)
    before = _ancestors(encoder, names[place - 1]) if place else set()
    return _ancestors(encoder, name) - before


def _ancestors(encoder: keras.Model, name: str) -> set[str]:
    """Names of a layer and of all layers that its output depends on."""
    part = keras.Model(encoder.input, layer_output(encoder, name))
    return {layer.name for layer in part.layers}
