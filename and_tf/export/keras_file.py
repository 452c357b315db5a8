"""A `.keras` file: the encoder itself, which can be trained further or modified."""

import contextlib
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.export import metadata
from and_tf.export.exported_encoder import ExportedEncoder, checked_encoder, not_ours, reading
from and_tf.export.formats import Details
from and_tf.runs.archives import check_keras_archive
from and_tf.runs.weights_limit import weights_within


def write(encoder: keras.Model, path: Path, details: Details) -> None:
    """Writes a file for `keras.models.load_model`, a zip archive, to which metadata are added."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # Keras insists on its suffix
        file = Path(folder, "encoder.keras")
        encoder.save(file)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(metadata.NAME, metadata.to_json(details.metadata))
        file.rename(path)


def read(path: Path) -> ExportedEncoder:
    """Opens a file that `write` wrote; code that a file may hold is not run.

    Raises:
        BrokenFile: if it is corrupt, or a different kind of model.
    """
    with reading(path, "a Keras model"), weights_within(check_keras_archive(path)):
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

    return checked_encoder(path, embed, *shapes, _metadata(path))


def _metadata(path: Path) -> dict[str, Any]:
    with contextlib.suppress(KeyError), zipfile.ZipFile(path) as archive:
        return metadata.from_json(path, archive.read(metadata.NAME))
    return {}
