"""An `.onnx` file: for images of the encoder's own size, in batches of any."""

import importlib
import types
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from and_tf.errors import MissingPackage
from and_tf.export.exported_encoder import ExportedEncoder, checked_encoder, not_ours, reading
from and_tf.export.inference import describe, fixed_size


def write(encoder: keras.Model, path: Path) -> None:
    """Writes a graph from `images` to `embeddings`, checked by onnx.

    Raises:
        MissingPackage: if tf2onnx or onnx is not installed.
    """
    tf2onnx, onnx = _require("tf2onnx", "onnx")
    embed, signature = fixed_size(encoder)
    compiled = tf.function(embed, input_signature=signature, autograph=False)
    model, _ = tf2onnx.convert.from_function(compiled, signature)
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(model, {k: str(v) for k, v in describe(encoder).items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def read(path: Path) -> ExportedEncoder:
    """Opens a file that `write` wrote.

    Raises:
        BrokenFile: if it is corrupt, or another model.
        MissingPackage: if onnxruntime is not installed.
    """
    (onnxruntime,) = _require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    with reading(path, "an ONNX model"):
        session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = [(tensor.name, tensor.type) for tensor in (*inputs, *outputs)]
    if found != [("images", "tensor(uint8)"), ("embeddings", "tensor(float)")]:
        raise not_ours(path)

    def embed(images: np.ndarray) -> np.ndarray:
        return session.run(["embeddings"], {"images": images})[0]

    return checked_encoder(path, embed, inputs[0].shape, outputs[0].shape)


def _require(*names: str) -> list[types.ModuleType]:
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise MissingPackage(
            f"ONNX needs {', '.join(names)} ({error}): pip install tf2onnx onnx onnxruntime"
        ) from error
