"""The encoder as its exports hold it: in float32, for inference, for images of its own size."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from and_tf import __version__


def fixed_size(encoder: keras.Model) -> tuple[Callable, list[tf.TensorSpec]]:
    """The encoder as a function of uint8 images of its own size, and the signature of it."""

    def embed(images):
        return {"embeddings": encoder(images, training=False)}

    return embed, [tf.TensorSpec(encoder.input_shape, tf.uint8, name="images")]


def describe(encoder: keras.Model) -> dict[str, Any]:
    """What an export says about itself."""
    return {
        "image_size": encoder.input_shape[1],
        "embedding_dim": encoder.output_shape[-1],
        "encoder": encoder.name,
        "and_tf_version": __version__,
    }


@contextlib.contextmanager
def quiet_converters() -> Iterator[None]:
    """Leaves the converters' errors and drops their running commentary."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx", "absl")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
