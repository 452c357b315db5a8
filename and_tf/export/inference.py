"""The encoder as its exports contain it: for inference, on images of its own size."""

import contextlib
import logging
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf


def fixed_size(encoder: keras.Model) -> tuple[Callable, list[tf.TensorSpec]]:
    """The encoder as a function of uint8 images of its own size, and its signature."""

    def embed(images):
        return {"embeddings": encoder(images, training=False)}

    return embed, [tf.TensorSpec(encoder.input_shape, tf.uint8, name="images")]


@contextlib.contextmanager
def quiet_converters() -> Iterator[None]:
    """A context in which only the errors of the converters are logged."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx", "absl")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
