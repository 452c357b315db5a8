"""The formats of exports: their suffixes, optional packages and descriptions."""

import importlib
import types
from pathlib import Path

SUFFIXES = {"savedmodel": "", "keras": ".keras", "onnx": ".onnx", "litert": ".tflite"}
FORMATS = tuple(SUFFIXES)

DESCRIPTION = Path("assets.extra", "encoder.json")  # inside a SavedModel


def require(*names: str) -> list[types.ModuleType]:
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise ImportError(
            f"ONNX needs {', '.join(names)} ({error}): pip install tf2onnx onnx onnxruntime"
        ) from error


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
