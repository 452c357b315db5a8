"""A `.tflite` file for LiteRT: images of the encoder's own size, only built-in operations."""

import importlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.workers import num_cores
from and_tf.errors import UserError
from and_tf.export import metadata
from and_tf.export.exported_encoder import (
    ExportedEncoder,
    checked_encoder,
    first_line,
    not_ours,
    reading,
)
from and_tf.export.formats import Details
from and_tf.export.inference import fixed_size
from and_tf.runs.system_errors import system_errors


def write(encoder: keras.Model, path: Path, details: Details) -> None:
    """Writes the signature `serving_default`, from `images` to `embeddings`.

    Inputs are uint8 and outputs float32 in any precision.

    Raises:
        UserError: if the encoder needs more than the built-in operations.
        OSError: if the disk is full.
    """
    embed, signature = fixed_size(encoder)
    archive = keras.export.ExportArchive()
    archive.track(encoder)
    archive.add_endpoint("serving_default", embed, input_signature=signature)
    with tempfile.TemporaryDirectory() as directory:
        with system_errors(directory):
            archive.write_out(directory, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=["serving_default"]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        _set_precision(converter, details)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as in `read`
                content = converter.convert()
        except Exception as error:
            raise UserError(
                f"{encoder.name} cannot be written with LiteRT's built-in operations alone: "
                f"{first_line(error)}. Export it as savedmodel or onnx."
            ) from error
    path.write_bytes(_with_metadata(content, metadata.to_json(details.metadata)))


def _set_precision(converter: tf.lite.TFLiteConverter, details: Details) -> None:
    precision = details.metadata["precision"]
    if precision == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
        return
    images = details.images
    if images is None:
        raise UserError("int8 takes the ranges of values from typical images: give some.")

    def typical_images() -> Iterator[dict[str, np.ndarray]]:
        for image in images:
            yield {"images": image[None]}

    converter.representative_dataset = typical_images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]


def _with_metadata(content: bytes, text: str) -> bytes:
    """The model with an additional entry in its table of metadata."""
    schema, flatbuffers = _schema()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = metadata.NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content) + 2 * len(text))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _metadata(path: Path) -> dict[str, Any]:
    schema, _ = _schema()
    model = schema.Model.GetRootAs(path.read_bytes())
    for number in range(model.MetadataLength()):
        if model.Metadata(number).Name() == metadata.NAME.encode():
            buffer = model.Buffers(model.Metadata(number).Buffer())
            return metadata.from_json(path, np.asarray(buffer.DataAsNumpy()).tobytes())
    return {}


def _schema() -> tuple[Any, Any]:
    """The modules with the schema of LiteRT files, from TensorFlow, and of flatbuffers."""
    names = "tensorflow.lite.python.schema_py_generated", "flatbuffers"
    schema, flatbuffers = (importlib.import_module(name) for name in names)
    return schema, flatbuffers


def read(path: Path) -> ExportedEncoder:
    """Opens a file that `write` wrote.

    Raises:
        BrokenFile: if it is corrupt, or a different kind of model.
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

    shapes = images["shape"].tolist(), embeddings["shape"].tolist()
    return checked_encoder(path, embed, *shapes, _metadata(path))


def _interpreter() -> Any:
    """The stand-alone runtime if installed, else the one that TensorFlow still includes."""
    try:
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError:
        return tf.lite.Interpreter
