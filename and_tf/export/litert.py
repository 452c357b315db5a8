"""A `.tflite` file for LiteRT: images of the encoder's own size, built-in operations alone."""

import importlib
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.workers import num_cores
from and_tf.errors import UserError
from and_tf.export.exported_encoder import (
    ExportedEncoder,
    checked_encoder,
    first_line,
    not_ours,
    reading,
)
from and_tf.export.inference import fixed_size


def write(encoder: keras.Model, path: Path) -> None:
    """Writes the signature `serving_default`, from `images` to `embeddings`.

    Raises:
        UserError: if the encoder needs more than the built-in operations.
    """
    embed, signature = fixed_size(encoder)
    archive = keras.export.ExportArchive()
    archive.track(encoder)
    archive.add_endpoint("serving_default", embed, input_signature=signature)
    with tempfile.TemporaryDirectory() as directory:
        archive.write_out(directory, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=["serving_default"]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except Exception as error:
            raise UserError(
                f"{encoder.name} cannot be written with LiteRT's built-in operations alone: "
                f"{first_line(error)}. Export it as savedmodel or onnx."
            ) from error
    path.write_bytes(content)


def read(path: Path) -> ExportedEncoder:
    """Opens a file that `write` wrote.

    Raises:
        BrokenFile: if it is corrupt, or another model.
    """
    with reading(path, "a LiteRT model"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf.lite.Interpreter will move to ai_edge_litert
        interpreter = _interpreter()(str(path), num_threads=num_cores())
    if "serving_default" not in interpreter.get_signature_list():
        raise not_ours(path)
    runner = interpreter.get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    if list(inputs) != ["images"] or list(outputs) != ["embeddings"]:
        raise not_ours(path)
    images, embeddings = inputs["images"], outputs["embeddings"]
    if images["dtype"] != np.uint8:
        raise not_ours(path)

    def embed(images: np.ndarray) -> np.ndarray:
        return runner(images=images)["embeddings"]

    return checked_encoder(path, embed, images["shape"].tolist(), embeddings["shape"].tolist())


def _interpreter() -> Any:
    """The stand-alone runtime if installed, else the one that TensorFlow still carries."""
    try:
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError:
        return tf.lite.Interpreter
