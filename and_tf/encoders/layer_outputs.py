"""The features of an encoder: its layers by name, and a model that gives one of them."""

import keras

from and_tf.encoders.stages import ALEXNET_LAYERS, EMBEDDING, RESNET_LAYERS
from and_tf.errors import UserError


def layer_names(encoder: keras.Model) -> list[str]:
    """The layers whose features can be evaluated, from the image to the embedding.

    Returns:
        A list of str: conv1..conv5 and fc, or stem, stage1..stage4 and fc.
    """
    present = {layer.name for layer in encoder.layers}
    return [name for name in (*ALEXNET_LAYERS, *RESNET_LAYERS, EMBEDDING) if name in present]


def resolve_layer(encoder: keras.Model, name: str) -> str:
    """The encoder's own name of a layer; conv1..conv5 mean stem, stage1..stage4 on a ResNet."""
    known = layer_names(encoder)
    if name in known:
        return name
    alias = dict(zip(ALEXNET_LAYERS, RESNET_LAYERS, strict=True)).get(name)
    if alias in known:
        return alias
    raise UserError(f"{encoder.name} has no layer {name!r}. Its layers: {', '.join(known)}.")


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
    output = encoder.get_layer("embedding" if layer == EMBEDDING else layer).output
    return keras.Model(encoder.input, output, name=f"{encoder.name}_{layer}")
