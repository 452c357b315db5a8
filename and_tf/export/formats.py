"""The formats of exports. A new one is a file like those that stand here and a line below."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from and_tf.export.exported_encoder import ExportedEncoder


class Format(NamedTuple):
    """How an encoder is written in one format, and read.

    Attributes:
        suffix: of the file; empty for a directory.
        module: with `write(encoder, path)` and `read(path)`; imported where they are called.
    """

    suffix: str
    module: str

    @property
    def write(self) -> "Callable[[keras.Model, Path], None]":
        """Writes a float32 encoder to a path at which nothing stands."""
        return self._function("write")

    @property
    def read(self) -> "Callable[[Path], ExportedEncoder]":
        """Opens what `write` wrote."""
        return self._function("read")

    def _function(self, name: str) -> Any:
        return getattr(importlib.import_module(self.module), name)


FORMATS = {
    "savedmodel": Format("", "and_tf.export.savedmodel"),
    "keras": Format(".keras", "and_tf.export.keras_file"),
    "onnx": Format(".onnx", "and_tf.export.onnx_file"),
    "litert": Format(".tflite", "and_tf.export.litert"),
}
