"""A `.keras` file: the encoder itself, to be trained or taken apart further."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from and_tf.export.exported_encoder import ExportedEncoder, checked_encoder, not_ours, reading


def write(encoder: keras.Model, path: Path) -> None:
    """Writes a file for `keras.models.load_model`."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # Keras insists on its suffix
        file = Path(folder, "encoder.keras")
        encoder.save(file)
        file.rename(path)


def read(path: Path) -> ExportedEncoder:
    """Opens a file that `write` wrote; code that a file may hold is not run.

    Raises:
        BrokenFile: if it is corrupt, or another model.
    """
    with reading(path, "a Keras model"):
        encoder = keras.models.load_model(path, compile=False)
    try:
        shapes = encoder.input_shape, encoder.output_shape
    except AttributeError as error:
        raise not_ours(path) from error

    @tf.function(reduce_retracing=True)
    def compiled(images):
        return encoder(images, training=False)

    def embed(images: np.ndarray) -> np.ndarray:
        return compiled(images).numpy()

    return checked_encoder(path, embed, *shapes)
