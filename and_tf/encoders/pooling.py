"""One vector of unit length for each image, from any layer of an encoder."""

import keras

from and_tf.encoders.layer_outputs import features, layer_names, resolve_layer
from and_tf.encoders.layers import unit_rows
from and_tf.encoders.stages import AUTO_LAYER, EMBEDDING

MOST_VALUES = 2048  # per row: 8 GB for a million photos


def pooled_features(encoder: keras.Model, layer: str = AUTO_LAYER) -> keras.Model:
    """A model that outputs a layer's features as unit rows, and shares the encoder's weights.

    A map is averaged over the cells of a grid as fine as `MOST_VALUES` allows, which preserves some
    spatial information: in docs/results.md such features find similar images better than the mean
    of the whole map at every layer. Only built-in layers are used, as in an encoder, so that every
    export format has them.

    Args:
        encoder: an encoder of `build_encoder`, `load_encoder` or `open_pretrained`.
        layer: a name or alias that `resolve_layer` knows; `fc` is the trained embedding. `auto` is
            the last stage before a trained `fc`, or the embedding if there is no such layer.

    Returns:
        `keras.Model`, (B, side, side, channels) images in 0..255 to (B, F) float32 unit rows.

    Raises:
        UserError: if there is no such layer; names those that exist.
    """
    layer = chosen_layer(encoder, layer)
    model = features(encoder, layer)
    if layer == EMBEDDING:
        return model
    rows = _rows(model.output)  # (B, F)
    return keras.Model(encoder.input, unit_rows(rows), name=model.name)


def chosen_layer(encoder: keras.Model, layer: str) -> str:
    """The name of a layer as `resolve_layer` returns it; for `auto`, the layer it stands for."""
    if layer != AUTO_LAYER:
        return resolve_layer(encoder, layer)
    stages = [name for name in layer_names(encoder) if name != EMBEDDING]
    has_trained_embedding = any(found.name == EMBEDDING for found in encoder.layers)
    return stages[-1] if stages and has_trained_embedding else EMBEDDING


def pool(maps: keras.KerasTensor, most_values: int = MOST_VALUES) -> keras.KerasTensor:
    """Averages a map over the cells of the finest grid that gives at most `most_values`.

    If even one cell gives more, that is used. Cells are squares of one size; if the side is not a
    multiple of it, those at the ends are smaller.

    Args:
        maps: (B, H, W, C) symbolic, of known size.
        most_values: per image.

    Returns:
        (B, F), F = rows x columns x C.
    """
    height, width, channels = maps.shape[1:]
    size = next(
        size
        for size in range(1, max(height, width) + 1)
        if -(-height // size) * -(-width // size) * channels <= most_values
        or size == max(height, width)
    )
    # Keras' default name would be `flatten`, which an AlexNet already has.
    name = f"pooled_{keras.backend.get_uid('pooled')}"
    cells = keras.layers.AveragePooling2D(size, strides=size, padding="same", name=f"{name}_cells")(
        maps
    )
    return keras.layers.Flatten(name=f"{name}_values")(cells)


def _rows(output: keras.KerasTensor) -> keras.KerasTensor:
    """Reduces maps, tokens or vectors to (B, F)."""
    if len(output.shape) == 4:
        return pool(output)
    if len(output.shape) == 3:  # tokens (B, T, C)
        return keras.layers.GlobalAveragePooling1D(name="average_of_tokens")(output)
    return output
