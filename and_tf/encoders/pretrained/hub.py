"""Presets of keras-hub, which is an optional package."""

import os
from pathlib import Path
from typing import Any

import keras

from and_tf.encoders.pretrained.applications import IMAGE_SIZE
from and_tf.encoders.pretrained.network import Network, functional
from and_tf.errors import BrokenFile, MissingPackage, NotFound
from and_tf.runs.places import expanded


def open_preset(preset: str) -> Network:
    """The backbone of a preset; nothing is downloaded.

    Args:
        preset: a folder that `save_to_preset` wrote, or the name of a preset in kagglehub's cache,
            such as `resnet_18_imagenet`.

    Raises:
        MissingPackage: if keras-hub is not installed.
        NotFound: if there is no such folder.
        BrokenFile: if the folder cannot be read as a preset.
        UserError: if the backbone is not a functional model with one input and one output.
    """
    keras_hub = _import_keras_hub()
    folder = _preset_folder(preset)
    try:
        backbone = keras_hub.models.Backbone.from_preset(str(folder))
    except Exception as error:  # a folder that does not fit causes many kinds of exceptions
        raise BrokenFile(
            f"{folder} cannot be read as a keras-hub preset ({str(error).strip()[:200]})."
        ) from error
    scale, offset = _pixels(keras_hub, folder)
    model = functional(backbone)
    side = model.input_shape[1] or IMAGE_SIZE
    return Network(model, side, scale, offset)


def _import_keras_hub() -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise MissingPackage(
            "Presets of keras-hub need it: pip install -r requirements-hub.txt"
        ) from error
    return keras_hub


def _preset_folder(preset: str) -> Path:
    """The folder itself if it holds a preset, or the newest version in kagglehub's cache."""
    given = expanded(preset)
    if (given / "config.json").is_file():
        return given
    cache = expanded(os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub")
    versions = cache.glob(f"models/keras/*/keras/{given.name}/*")
    found = [path for path in versions if (path / "config.json").is_file()]
    if not found or len(given.parts) > 1:
        raise NotFound(
            f"{preset} is not a folder with a keras-hub preset, and kagglehub's cache, {cache}, "
            "holds none of this name. Nothing is downloaded: run "
            f"keras_hub.models.Backbone.from_preset({preset!r}) once on a machine with a network, "
            "and copy what it has cached."
        )
    return max(found, key=lambda path: int(path.name) if path.name.isdigit() else 0)


def _pixels(
    keras_hub: Any, folder: Path
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Scale and offset of the preset's image converter; None if it has none."""
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(str(folder))
    except Exception:  # a backbone that was saved without one
        return None, None
    return _per_channel(converter.scale, 1.0), _per_channel(converter.offset, 0.0)


def _per_channel(value: Any, default: float) -> tuple[float, ...]:
    values = keras.ops.convert_to_numpy(default if value is None else value).ravel().tolist()
    return tuple(float(number) for number in values * (3 if len(values) == 1 else 1))
