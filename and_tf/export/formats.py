"""The formats of exports. A new one is a file like those that stand here and a line below."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import numpy as np

    from and_tf.export.exported_encoder import ExportedEncoder


class Details(NamedTuple):
    """What a format is written with, besides the encoder.

    Attributes:
        metadata: what the export says about itself; see `export.metadata`.
        images: (n, side, side, 3) uint8, typical ones, from which the ranges of int8 are taken;
            None where there are none.
    """

    metadata: dict[str, Any]
    images: "np.ndarray | None" = None


class Format(NamedTuple):
    """How an encoder is written in one format, and read.

    Attributes:
        suffix: of the file; empty for a directory.
        module: with `write(encoder, path, details)` and `read(path)`, which runs no code of a file;
            `read(path, is_trusted)` of what is a program. Imported where they are called.
        precision: of weights and arithmetic.
        min_cosine: of the embeddings with those of the encoder; an export below it is refused. None
            for float32, which is compared value by value.
        needs_images: whether it cannot be written without typical images.
    """

    suffix: str
    module: str
    precision: str = "float32"
    min_cosine: float | None = None
    needs_images: bool = False

    @property
    def write(self) -> "Callable[[keras.Model, Path, Details], None]":
        """Writes a float32 encoder to a path at which nothing stands."""
        return self._function("write")

    @property
    def read(self) -> "Callable[..., ExportedEncoder]":
        """Opens what `write` wrote."""
        return self._function("read")

    def _function(self, name: str) -> Any:
        return getattr(importlib.import_module(self.module), name)


FORMATS = {
    "savedmodel": Format("", "and_tf.export.savedmodel"),
    "keras": Format(".keras", "and_tf.export.keras_file"),
    "onnx": Format(".onnx", "and_tf.export.onnx_file"),
    "onnx_fp16": Format(".onnx", "and_tf.export.onnx_file", "float16", 0.99),
    "litert": Format(".tflite", "and_tf.export.litert"),
    "litert_fp16": Format(".tflite", "and_tf.export.litert", "float16", 0.99),
    "litert_int8": Format(".tflite", "and_tf.export.litert", "int8", 0.9, needs_images=True),
}
