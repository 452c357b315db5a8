"""Encoders as files that other programs run: SavedModel, `.keras`, ONNX and LiteRT.

Every export takes uint8 images, normalises inside, gives float32 rows of unit length and computes
in float32, whatever policy the encoder was trained under.
"""

from and_tf.export.formats import FORMATS
from and_tf.export.readers import ExportedEncoder, load_exported
from and_tf.export.verification import verify_export
from and_tf.export.writers import export_encoder, resize_and_crop

__all__ = [
    "FORMATS",
    "ExportedEncoder",
    "export_encoder",
    "load_exported",
    "resize_and_crop",
    "verify_export",
]
