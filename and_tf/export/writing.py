"""Writes an encoder for inference, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from and_tf.encoders.layers import in_float32
from and_tf.errors import UserError
from and_tf.export.formats import FORMATS, Details
from and_tf.export.inference import quiet_converters
from and_tf.export.metadata import CHECKSUM, describe, file_checksum, path_beside, write_beside
from and_tf.export.reading import load_exported
from and_tf.runs.atomic_files import replace_by
from and_tf.runs.folder_lock import locked_folder
from and_tf.runs.places import check_local, expanded


def export_encoder(
    encoder: keras.Model,
    path: Path | str,
    format: str,
    images: np.ndarray | None = None,
    layer: str | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """Writes an encoder for inference. If an export fails, an older one at `path` is kept.

    Processes that write to the same folder wait for one another.

    Each export describes how to prepare images for it, see `export.metadata`: a SavedModel in
    `assets.extra/encoder.json`, a file within itself and in `NAME.encoder.json` next to it.

    Args:
        encoder: an encoder for RGB images, from `encoders.build_encoder` or `load_encoder`.
        path: a directory for `savedmodel`, else a file ending in .keras, .onnx or .tflite.
        format: one of FORMATS.
            `savedmodel`: signature `serving_default` takes `images`, a uint8 batch of any one size
            (B, H, W, 3), and resizes the centre square with antialiasing; `encoded_images` takes
            `images`, a vector of JPEG, PNG, BMP, GIF or WebP bytes of any sizes, decodes them as
            `embed.py` does, and also returns `is_decoded`, (B,) bool; other rows are NaN.
            `keras`: the encoder itself, for `keras.models.load_model`.
            `onnx`, `litert`: `images` is uint8 (B, side, side, 3) of the encoder's own side, with
            any B (LiteRT: signature `serving_default`, or resize the input tensor). LiteRT's
            built-in operations suffice. With `_fp16` weights take half the space, with `_int8` a
            quarter; inputs and outputs stay uint8 and float32.
            All but `keras` name their output `embeddings`.
        images: (n, side, side, 3) uint8, 100 or more typical images; needed for `litert_int8`.
        layer: whose features these are, for the metadata; by default the encoder's last.
        check: called with the path of the new export before it replaces an older one, which is
            kept if it raises.

    Returns:
        The absolute path that was written.

    Raises:
        UserError: if the format is unknown or does not fit the suffix or the encoder, or if `path`
            holds something other than an export, or is an address such as gs://bucket/x.
        MissingPackage: if a converter is not installed.
    """
    path = _checked_target(Path(path), format)
    if encoder.input_shape[-1] != 3:
        raise UserError(
            f"Exports take RGB images. Received an encoder for inputs {encoder.input_shape}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    form, encoder = FORMATS[format], in_float32(encoder)
    details = Details(describe(encoder, format, form.precision, layer), images)

    def write(new: Path) -> None:
        with quiet_converters():
            form.write(encoder, new, details)
        if check is not None:
            check(new)
        if form.suffix:  # a kill must not leave the metadata of an older file next to the new one
            path_beside(path).unlink(missing_ok=True)

    with locked_folder(path.parent):
        replace_by(path, write)
        if form.suffix:
            write_beside(path, details.metadata | {CHECKSUM: file_checksum(path)})
    return path


def _checked_target(path: Path, format: str) -> Path:
    """The absolute path, if it does not exist or holds an export that may be replaced."""
    if format not in FORMATS:
        raise UserError(f"Unknown format {format!r}. Known formats: {', '.join(FORMATS)}.")
    check_local("output", expanded(path))
    path, suffix = expanded(path).absolute(), FORMATS[format].suffix
    if suffix and path.suffix != suffix:
        raise UserError(f"format={format} writes a file ending in {suffix}. Received {path}.")
    if any(parent.is_file() for parent in path.parents):
        raise UserError(f"{path} is below a file: give another path.")
    if path.exists() and not _may_be_replaced(path, is_file=bool(suffix)):
        raise UserError(
            f"{path} exists and is not an export of format={format}: it is not overwritten. "
            "Give another path or remove it."
        )
    return path


def _may_be_replaced(path: Path, is_file: bool) -> bool:
    """Whether a path holds an export or is empty; any other model may be its owner's only copy."""
    if is_file != path.is_file():
        return False
    if not (path.stat().st_size if is_file else any(path.iterdir())):
        return True
    if not is_file:
        from and_tf.export.savedmodel_files import DESCRIPTION

        return (path / DESCRIPTION).is_file()
    try:
        load_exported(path)
    except UserError:
        return False
    return True
