"""A pretrained network, and an encoder made of its layers for images of any size."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from and_tf.encoders.layer_outputs import before_normalisation
from and_tf.encoders.layers import TorchLayers, unit_rows
from and_tf.encoders.pretrained.matching import Loaded, load_matching
from and_tf.errors import Argument, UserError


@dataclasses.dataclass(frozen=True)
class Network:
    """A network with its weights, and the preprocessing of pixels in 0..255 that it needs.

    Attributes:
        model: functional or sequential `keras.Model` from images to maps, tokens or vectors.
        image_size: the network's own side in pixels.
        scale, offset: per channel: the network takes `scale * pixel + offset`; None if the network
            includes its own preprocessing.
        reverses_channels: whether it takes blue, green, red; scale and offset are in RGB order.
        normalised_scale: per channel, a further factor for a `Normalization` layer in the network.
    """

    model: keras.Model
    image_size: int
    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    reverses_channels: bool = False
    normalised_scale: tuple[float, ...] = (1.0, 1.0, 1.0)


def as_encoder(
    network: Network,
    image_size: int | None = None,
    embedding_dim: int | None = None,
    seed: int | None = None,
) -> tuple[keras.Model, Loaded]:
    """An encoder with a network's layers and weights.

    Args:
        network: not changed.
        image_size: side in pixels of the images that the encoder takes; None for the network's own.
        embedding_dim: length of the embedding, from a new layer `fc` on the last features; None for
            the pooled features themselves, or for the embedding that the network ends with.
        seed: of the new layer.

    Returns:
        The encoder, functional, and which of its layers have the network's weights: all except a
        new `fc` and, if the image size differs, dense layers on flattened maps.

    Raises:
        UserError: if the network cannot be built for the size, or does not output features.
    """
    size = network.image_size if image_size is None else image_size
    images = keras.Input((size, size, 3), dtype="float32", name="images")
    x = _preprocess(network, images)
    features = _replay(network, functional(network.model), x)
    # Cloned again, because a layer that was called twice has no single output.
    flat = keras.models.clone_model(keras.Model(images, features))
    embeddings = _embedding(flat, embedding_dim, seed)
    encoder = keras.Model(flat.input, embeddings, name=network.model.name)
    return encoder, load_matching(encoder, network.model)


def functional(model: keras.Model) -> keras.Model:
    """A model as a graph of layers.

    Raises:
        UserError: if it is not such a graph, as in the case of subclassed models, or has several
            inputs or outputs.
    """
    try:
        if len(model.inputs) == len(model.outputs) == 1:
            return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    except (AttributeError, ValueError, TypeError) as error:
        raise UserError(f"{model.name} is not a functional or sequential Keras model.") from error
    raise UserError(f"{model.name} must have one input and one output.")


def _preprocess(network: Network, images: keras.KerasTensor) -> keras.KerasTensor:
    x = images
    if network.scale is not None:
        x = keras.layers.Rescaling(
            list(network.scale), list(network.offset or (0.0, 0.0, 0.0)),
            dtype="float32", name="normalise",
        )(x)  # fmt: skip
    return ops.flip(x, axis=-1) if network.reverses_channels else x


def _replay(network: Network, graph: keras.Model, x: keras.KerasTensor) -> keras.KerasTensor:
    """Applies fresh copies of a graph's layers to `x`, including those of models within it."""

    def copy(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return layer  # replaced by its layers when it is called
        if type(layer) is keras.layers.Normalization:
            return _rescaling(layer, network.normalised_scale)
        return type(layer).from_config(layer.get_config())

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Model):
            return _replay(network, functional(layer), args[0])
        return layer(*args, **kwargs)

    inputs = keras.Input(batch_shape=x.shape, dtype=x.dtype)
    try:
        fresh = keras.models.clone_model(
            graph, input_tensors=_like(graph, inputs), clone_function=copy, call_function=call
        )
    except (ValueError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise UserError(
            f"{graph.name} cannot be built for ", Argument("image_size", x.shape[1]),
            f" ({reason}): choose another size, such as its own, {network.image_size}.",
        ) from error  # fmt: skip
    return fresh.call(x)


def _like(graph: keras.Model, inputs: keras.KerasTensor) -> Any:
    """Inputs in the same structure as the graph's."""
    return [inputs] if isinstance(graph.input, list) else inputs


def _rescaling(layer: keras.layers.Normalization, factor: tuple[float, ...]) -> keras.layers.Layer:
    """Replaces a `Normalization` layer, whose constants would become inputs of an ONNX export."""
    mean = np.ravel(ops.convert_to_numpy(layer.mean)).astype("float64")
    std = np.sqrt(np.ravel(ops.convert_to_numpy(layer.variance)).astype("float64"))
    scale = np.asarray(factor)[: len(mean)] / np.maximum(std, keras.config.epsilon())
    return keras.layers.Rescaling(
        [float(value) for value in scale],
        [float(value) for value in -mean * scale],
        dtype="float32",
        name=layer.name,
    )


def _embedding(
    model: keras.Model, embedding_dim: int | None, seed: int | None
) -> keras.KerasTensor:
    """(B, D) rows of unit length from the maps, tokens or vectors that a network outputs."""
    x, rank = model.output, len(model.output.shape)
    if rank == 4:  # maps (B, h, w, C)
        x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    elif rank == 3:  # tokens (B, T, C)
        x = keras.layers.GlobalAveragePooling1D(name="average")(x)
    elif rank != 2:
        raise UserError(f"{model.name} gives no features of images: its output is {x.shape}.")
    if any(layer.name == "embedding" for layer in model.layers):
        if embedding_dim in (None, x.shape[-1]):
            return x
        x = before_normalisation(model)
        x = model.get_layer("fc").input if _has_layer(model, "fc") else x
        if len(x.shape) == 4:  # `fc` of a split encoder is a mean of maps
            x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    if embedding_dim is None:
        return unit_rows(x)
    return TorchLayers(seed=seed).embedding(x, embedding_dim)


def _has_layer(model: keras.Model, name: str) -> bool:
    return any(layer.name == name for layer in model.layers)
