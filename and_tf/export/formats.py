"""The formats of exports. To add one, write a module like the others and add it to `FORMATS`."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import numpy as np

    from and_tf.export.exported_encoder import ExportedEncoder


class Details(NamedTuple):
    """What a format needs for writing, besides the encoder.

    Attributes:
        metadata: the description of the export; see `export.metadata`.
        images: (n, side, side, 3) uint8, typical images that determine the ranges of int8; None if
            there are none.
    """

    metadata: dict[str, Any]
    images: "np.ndarray | None" = None


class Format(NamedTuple):
    """How an encoder is written and read in one format.

    Attributes:
        suffix: of the file; empty for a directory.
        module: name of a module, imported when needed, with `write(encoder, path, details)` and
            `read(path)`, which runs no code from the file; `read(path, is_trusted)` if the format
            is a directory, whose content is a program.
        precision: of weights and arithmetic.
        min_cosine: lowest cosine of the embeddings with the encoder's; an export below it is
            refused. None for float32, which is compared value by value.
        needs_images: whether it cannot be written without typical images.
    """

    suffix: str
    module: str
    precision: str = "float32"
    min_cosine: float | None = None
    needs_images: bool = False

    @property
    def write(self) -> "Callable[[keras.Model, Path, Details], None]":
        """Writes a float32 encoder to a path that does not exist."""
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
