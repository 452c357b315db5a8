"""Comparing an export with the encoder it was made of."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from and_tf.encoders.layers import in_float32
from and_tf.export.reading import load_exported


def verify_export(encoder: keras.Model, path: Path | str, format: str, images: np.ndarray) -> float:
    """Compares an export with the encoder it was made of.

    Args:
        encoder: the Keras encoder.
        path, format: as given to `export_encoder`.
        images: (n, side, side, 3) uint8, n > 0; images repeat where n < 8.

    Returns:
        The largest absolute difference of an embedding's value over batches of 1 and of 8, NaN if
        any is. For `savedmodel` the encoded bytes of the images count too.
    """
    reference = in_float32(encoder)
    exported = load_exported(path)
    differences = []
    for size in (1, 8):
        batch = np.resize(images, (size, *images.shape[1:]))
        expected = reference(batch, training=False).numpy()  # (size, D)
        found = [exported(batch)]
        if format == "savedmodel":
            found.append(_embed_encoded(path, batch))
        differences += [np.abs(rows - expected).max() for rows in found]
    return float(np.max(differences))


def _embed_encoded(path: Path | str, images: np.ndarray) -> np.ndarray:
    loaded = tf.saved_model.load(str(path))
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    return loaded.signatures["encoded_images"](images=encoded)["embeddings"].numpy()
