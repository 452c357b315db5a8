"""Encoders as files that other programs run: SavedModel, `.keras`, ONNX and LiteRT.

Every export takes uint8 images, normalises them itself and returns float32 rows of unit length. It
computes in float32, whatever policy the encoder was trained under, unless the format names a lower
precision.
"""

from typing import TYPE_CHECKING

from and_tf import lazy_attributes

if TYPE_CHECKING:
    from and_tf.export.exported_encoder import ExportedEncoder
    from and_tf.export.formats import FORMATS
    from and_tf.export.preprocessing import resize_and_crop
    from and_tf.export.reading import load_exported
    from and_tf.export.verification import verify_export
    from and_tf.export.writing import export_encoder

_HOMES = {
    "ExportedEncoder": "exported_encoder",
    "FORMATS": "formats",
    "export_encoder": "writing",
    "load_exported": "reading",
    "resize_and_crop": "preprocessing",
    "verify_export": "verification",
}

__all__ = [
    "FORMATS",
    "ExportedEncoder",
    "export_encoder",
    "load_exported",
    "resize_and_crop",
    "verify_export",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
