"""One vector of unit length for each image, from any layer of an encoder."""

import keras

from and_tf.encoders.layer_outputs import features, layer_names, resolve_layer
from and_tf.encoders.layers import unit_rows
from and_tf.encoders.stages import AUTO_LAYER, EMBEDDING

MOST_VALUES = 2048  # of a row: 8 GB for a million photos


def pooled_features(encoder: keras.Model, layer: str = AUTO_LAYER) -> keras.Model:
    """A model that gives a layer's features as unit rows, and shares the encoder's weights.

    A map is averaged over the cells of as fine a grid as `MOST_VALUES` allow, which keep something
    of where things are: in docs/results.md they find similar images better than the mean of the
    whole map at every layer. Built-in layers alone, as in an encoder, so that every export format
    has them.

    Args:
        encoder: an encoder of `build_encoder`, `load_encoder` or `open_pretrained`.
        layer: a name or alias that `resolve_layer` knows; `fc` is the embedding that was trained.
            `auto` is the last stage before a trained `fc`, and the embedding where there is none.

    Returns:
        `keras.Model`, (B, side, side, channels) images in 0..255 to (B, F) float32 unit rows.

    Raises:
        UserError: if there is no such layer; names those that there are.
    """
    layer = chosen_layer(encoder, layer)
    model = features(encoder, layer)
    if layer == EMBEDDING:
        return model
    rows = _rows(model.output)  # (B, F)
    return keras.Model(encoder.input, unit_rows(rows), name=model.name)


def chosen_layer(encoder: keras.Model, layer: str) -> str:
    """The name of a layer as `layer_names` has it; of `auto` the one that it stands for."""
    if layer != AUTO_LAYER:
        return resolve_layer(encoder, layer)
    stages = [name for name in layer_names(encoder) if name != EMBEDDING]
    has_trained_embedding = any(found.name == EMBEDDING for found in encoder.layers)
    return stages[-1] if stages and has_trained_embedding else EMBEDDING


def pool(maps: keras.KerasTensor, most_values: int = MOST_VALUES) -> keras.KerasTensor:
    """Means of a map over the cells of the finest grid that gives no more values, or one mean.

    Cells are squares of one size; where the side is not a multiple of it, those at both ends are
    smaller.

    Args:
        maps: (B, H, W, C) symbolic, of known size.
        most_values: of one image.

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
    # Keras' own names would begin at `flatten`, which an AlexNet has.
    name = f"pooled_{keras.backend.get_uid('pooled')}"
    cells = keras.layers.AveragePooling2D(size, strides=size, padding="same", name=f"{name}_cells")(
        maps
    )
    return keras.layers.Flatten(name=f"{name}_values")(cells)


def _rows(output: keras.KerasTensor) -> keras.KerasTensor:
    """(B, F) of maps, tokens or vectors."""
    if len(output.shape) == 4:
        return pool(output)
    if len(output.shape) == 3:  # tokens (B, T, C)
        return keras.layers.GlobalAveragePooling1D(name="average_of_tokens")(output)
    return output
