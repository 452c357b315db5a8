"""The description that comes with an export: how to prepare images, and how to check the result.

The metadata are part of each export. They are also written next to each file as JSON, under the
file's name and `.encoder.json`, so that they can be read without the runtime.
"""

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from and_tf import __version__
from and_tf.data.decode import load_square
from and_tf.errors import BrokenFile
from and_tf.runs import schema
from and_tf.runs.atomic_files import replace_file

NAME = "encoder.json"
CHECKSUM = "checksum"  # next to a file: its sha256 (hex); in a SavedModel, of all its other files
LOWEST_KERAS = "3.14.0"  # 3.13.2 does not know all arguments of BatchNormalization
LOWEST_WITH_AXES = "3.15.0"  # 3.14.0 does not know `input_axes` of Keras' own initialisers
TRIED_LAYERS = {
    "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Conv2D", "Dense",
    "DepthwiseConv2D", "Flatten", "GlobalAveragePooling2D", "InputLayer", "MaxPooling2D", "ReLU",
    "Rescaling", "ZeroPadding2D",
}  # fmt: skip
ORIENTATION, ROTATED = 0x0112, 6  # of EXIF


def describe(
    encoder: keras.Model, format: str, precision: str = "float32", layer: str | None = None
) -> dict[str, Any]:
    """The metadata of an encoder's export.

    Args:
        encoder: in float32.
        format, precision: of the export.
        layer: of the network, whose features are exported; by default the encoder's last.
    """
    side = encoder.input_shape[1]
    reference = reference_image(side)
    embedding = np.asarray(encoder(load_square(reference, side)[None], training=False))[0]
    return {
        "image_size": side,
        "embedding_dim": encoder.output_shape[-1],
        "normalised": bool(abs(np.linalg.norm(embedding) - 1) < 1e-3),
        "encoder": encoder.name,
        "layer": layer or encoder.layers[-1].name,
        "format": format,
        "precision": precision,
        "input": {
            "dtype": "uint8",
            "shape": ["batch", side, side, 3],
            "color_order": "RGB",
            "range": [0, 255],
            "normalisation": "inside the model",
        },
        "preprocessing": preprocessing(side),
        "reference": {
            "image": "data:image/jpeg;base64," + base64.b64encode(reference).decode(),
            "embedding": [float(f"{value:.7g}") for value in embedding],
            "use": "Prepare the image as a file of yours: the cosine with the embedding should be "
            "above 0.9999, or what the export's precision allows.",
        },
        "and_tf_version": __version__,
        "keras_version": keras.__version__,
    } | ({"lowest_keras_version": lowest_keras_version(encoder)} if format == "keras" else {})


def lowest_keras_version(encoder: keras.Model) -> str:
    """The lowest version that reads the `.keras` file, if its layers were tested; else the current.

    Reference: `benchmarks/keras_versions.py`.
    """
    kinds = {type(layer).__name__ for layer in encoder.layers}
    if not kinds <= TRIED_LAYERS:
        return keras.__version__
    return LOWEST_WITH_AXES if '"input_axes"' in encoder.to_json() else LOWEST_KERAS


def preprocessing(side: int) -> dict[str, Any]:
    """The steps of `data.decode.load_square`, in order."""
    return {
        "reduction": f"a JPEG is decoded at 1/f of its size, f the largest of 8, 4, 2, 1 that "
        f"leaves both sides at least {2 * side} pixels",
        "orientation": "EXIF applied",
        "transparency": "over white",
        "grey_16_bit": "scaled to 8 bits by 1/257",
        "frame": "first",
        "crop": "centre square of the shorter side; its box may lie between pixels",
        "resize": f"that box to {side}x{side} in one resampling",
        "filter": "bilinear (triangle), antialiased: widened by the scale where it makes smaller",
        "pillow": "image.resize((side, side), Image.Resampling.BILINEAR, box=box)",
    }


def reference_image(side: int) -> bytes:
    """A JPEG on which each step of the preprocessing has a visible effect.

    It shows waves of decreasing length, so that a different filter or crop gives different pixels.
    It is rotated by its metadata and, for small encoders, large enough to be decoded at half its
    size.
    """
    height = 5 * side if side <= 128 else 3 * side // 2
    width = 7 * height // 5
    y, x = np.mgrid[:height, :width] / height
    waves = [
        np.sin(8 * (x + 1) ** 2 + 5 * y),
        np.sin(0.3 * side * (x + y) ** 2),
        np.cos(9 * y - 6 * x),
    ]
    pixels = np.rint(127.5 + 110 * np.stack(waves, axis=-1)).astype(np.uint8)
    tags = Image.Exif()
    tags[ORIENTATION] = ROTATED
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85, exif=tags)
    return file.getvalue()


def to_json(metadata: dict[str, Any]) -> str:
    """The JSON text in exports; the reference with its list of numbers takes one line."""
    text = json.dumps(metadata | {"reference": None}, indent=2)
    return text.replace('"reference": null', f'"reference": {json.dumps(metadata["reference"])}')


def from_json(path: Path, text: str | bytes) -> dict[str, Any]:
    """The metadata of an export, as written by `to_json`.

    Args:
        path: of the export, for the message.
        text: the JSON text in the export.

    Raises:
        BrokenFile: if they are corrupt; names field and value.
    """
    try:
        found = schema.parse(text)
        fault = schema.ENCODER.fault(found)
    except ValueError as error:
        fault = str(error)
    if fault:
        raise BrokenFile(f"{path} is corrupt ({NAME}: {fault}): export the encoder again.")
    return found


def path_beside(path: Path) -> Path:
    """The path of the JSON file with the metadata of an export that is a file."""
    return path.with_name(f"{path.name}.{NAME}")


def file_checksum(path: Path) -> str:
    """sha256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_beside(path: Path, metadata: dict[str, Any]) -> None:
    """Writes the metadata to the JSON file next to an export."""
    replace_file(path_beside(path), to_json(metadata) + "\n")
