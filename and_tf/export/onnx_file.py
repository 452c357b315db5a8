"""An `.onnx` file, for images of the encoder's own size in batches of any size."""

import importlib
import types
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.errors import MissingPackage
from and_tf.export import metadata
from and_tf.export.exported_encoder import ExportedEncoder, checked_encoder, not_ours, reading
from and_tf.export.formats import Details
from and_tf.export.inference import fixed_size

WEIGHTED = {"Conv", "Gemm", "MatMul"}  # operations


def write(encoder: keras.Model, path: Path, details: Details) -> None:
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
    if details.metadata["precision"] == "float16":
        model = _in_float16(model)
    scalars = {k: str(v) for k, v in details.metadata.items() if not isinstance(v, dict | list)}
    text = metadata.to_json(details.metadata)
    onnx.helper.set_model_props(model, scalars | {metadata.NAME: text})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def read(path: Path) -> ExportedEncoder:
    """Opens a file that `write` wrote.

    Raises:
        BrokenFile: if it is corrupt, or a different kind of model.
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

    text = session.get_modelmeta().custom_metadata_map.get(metadata.NAME, "{}")
    told = metadata.from_json(path, text)
    return checked_encoder(path, embed, inputs[0].shape, outputs[0].shape, told)


def _in_float16(model: Any) -> Any:
    """The graph with weights and arithmetic in float16, up to the last weights.

    The normalisation that follows stays in float32, because its sum of squares may exceed float16.
    """
    float16, onnx_model = _require(
        "onnxruntime.transformers.float16", "onnxruntime.transformers.onnx_model"
    )
    nodes = list(model.graph.node)
    last = max((i for i, node in enumerate(nodes) if node.op_type in WEIGHTED), default=-1)
    converted = onnx_model.OnnxModel(
        float16.convert_float_to_float16(
            model, keep_io_types=True, node_block_list=[node.name for node in nodes[last + 1 :]]
        )
    )
    converted.topological_sort()
    return converted.model


def _require(*names: str) -> list[types.ModuleType]:
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise MissingPackage(
            f"ONNX needs {', '.join(names)} ({error}): pip install tf2onnx onnx onnxruntime"
        ) from error
