"""Running an export, whatever its format."""

import contextlib
import importlib
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from and_tf.export.formats import DESCRIPTION, SUFFIXES, first_line, require


def load_exported(path: Path | str) -> "ExportedEncoder":
    """Opens any export for running.

    Args:
        path: a SavedModel directory, or a .keras, .onnx or .tflite file of `export_encoder`.

    Returns:
        An `ExportedEncoder`.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged or no encoder of ours; no code of a file is run.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Write it with export.py first.")
    formats = {suffix: format for format, suffix in SUFFIXES.items() if suffix}
    format = "savedmodel" if path.is_dir() else formats.get(path.suffix)
    if format is None or not (path.is_dir() or path.is_file()):  # reading a pipe would hang
        raise ValueError(
            f"{path} is no exported encoder: expected a SavedModel directory or a file ending in "
            f"{', '.join(formats)}."
        )
    return _LOADERS[format](path)


class ExportedEncoder:
    """An export ready to run, whatever its format.

    Args:
        embed: callable from (B, image_size, image_size, 3) uint8 to (B, embedding_dim).
        image_size: int, side in pixels.
        embedding_dim: int, D.
    """

    def __init__(
        self,
        embed: Callable[[np.ndarray], np.ndarray | tf.Tensor],
        image_size: int,
        embedding_dim: int,
    ):
        self._embed = embed
        self.image_size = image_size
        self.embedding_dim = embedding_dim

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        expected = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise ValueError(
                f"This encoder takes uint8 images of shape (B, {str(expected)[1:]}. Received "
                f"{images.dtype} of shape {images.shape}: resize and crop them first."
            )
        if len(images) == 0:
            return np.empty((0, self.embedding_dim), np.float32)
        return np.asarray(self._embed(images))  # (B, D)


def _load_savedmodel(path):
    with _reading(path, "a SavedModel"):
        loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures.get("serving_default")
    inputs = signature.structured_input_signature[1] if signature else {}
    if (
        not (path / DESCRIPTION).is_file()
        or list(inputs) != ["images"]
        or list(signature.structured_outputs) != ["embeddings"]
        or inputs["images"].dtype != tf.uint8
    ):
        raise _foreign(path)
    with _reading(path, "a SavedModel"):
        description = json.loads((path / DESCRIPTION).read_text())
        side, embedding_dim = description["image_size"], description["embedding_dim"]

    def embed(images):  # through `loaded`, which owns the variables and must stay alive
        return loaded.signatures["serving_default"](images=tf.constant(images))["embeddings"]

    return _encoder(path, embed, (None, side, side, 3), (None, embedding_dim))


def _load_keras(path):
    with _reading(path, "a Keras model"):
        encoder = keras.models.load_model(path, compile=False)
    try:
        shapes = encoder.input_shape, encoder.output_shape
    except AttributeError as error:
        raise _foreign(path) from error

    @tf.function(reduce_retracing=True)
    def embed(images):
        return encoder(images, training=False)

    return _encoder(path, embed, *shapes)


def _load_onnx(path):
    (onnxruntime,) = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    with _reading(path, "an ONNX model"):
        session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = [(x.name, x.type) for x in (*inputs, *outputs)]
    if found != [("images", "tensor(uint8)"), ("embeddings", "tensor(float)")]:
        raise _foreign(path)

    def embed(images):
        return session.run(["embeddings"], {"images": images})[0]

    return _encoder(path, embed, inputs[0].shape, outputs[0].shape)


def _load_litert(path):
    with _reading(path, "a LiteRT model"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf.lite.Interpreter will move to ai_edge_litert
        interpreter = _litert_interpreter()(str(path), num_threads=os.cpu_count())
    if "serving_default" not in interpreter.get_signature_list():
        raise _foreign(path)
    runner = interpreter.get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    if list(inputs) != ["images"] or list(outputs) != ["embeddings"]:
        raise _foreign(path)
    images, embeddings = inputs["images"], outputs["embeddings"]
    if images["dtype"] != np.uint8:
        raise _foreign(path)

    def embed(images):
        return runner(images=images)["embeddings"]

    return _encoder(path, embed, images["shape"].tolist(), embeddings["shape"].tolist())


def _litert_interpreter():
    """The stand-alone runtime if installed, else the one that TensorFlow still carries."""
    try:
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError:
        return tf.lite.Interpreter


def _encoder(path, embed, input_shape, output_shape):
    """An `ExportedEncoder` of what takes (B, side, side, 3) to (B, D); others are refused."""
    match (*input_shape,), (*output_shape,):
        case (_, int(side), int(width), 3), (_, int(dim)) if side == width and min(side, dim) > 0:
            return ExportedEncoder(embed, side, dim)
    raise _foreign(path)


@contextlib.contextmanager
def _reading(path, kind):
    """Names the file in whatever a reader raises."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as {kind} and may be damaged ({first_line(error)}). "
            f"Export the encoder anew."
        ) from error


def _foreign(path):
    return ValueError(
        f"{path} is not an encoder written by export.py: expected uint8 `images` to `embeddings`. "
        "Name an export, or a run's folder."
    )


_LOADERS = {
    "savedmodel": _load_savedmodel,
    "keras": _load_keras,
    "onnx": _load_onnx,
    "litert": _load_litert,
}
