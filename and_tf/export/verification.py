"""Compares an export with the encoder that it was made from."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from and_tf.encoders.layers import in_float32
from and_tf.export.reading import load_exported
from and_tf.search.nearest import nearest_others


def verify_export(encoder: keras.Model, path: Path | str, format: str, images: np.ndarray) -> float:
    """Compares an export with the encoder that it was made from.

    Args:
        encoder: the Keras encoder.
        path, format: as given to `export_encoder`.
        images: (n, side, side, 3) uint8, n > 0; repeated if n < 8.

    Returns:
        The largest absolute difference of any value of an embedding, over batches of 1 and of 8;
        NaN if any is. If an export decodes files, the images are also compared as PNG files.
    """
    reference = in_float32(encoder)
    exported = load_exported(path)
    differences = []
    for size in (1, 8):
        batch = np.resize(images, (size, *images.shape[1:]))
        expected = reference(batch, training=False).numpy()  # (size, D)
        found = [exported(batch)]
        if exported.embed_encoded is not None:
            found.append(
                exported.embed_encoded([tf.io.encode_png(image).numpy() for image in batch])
            )
        differences += [np.abs(rows - expected).max() for rows in found]
    return float(np.max(differences))


class Agreement(NamedTuple):
    """Agreement of an export with its encoder.

    Attributes:
        mean_cosine, min_cosine: between the two embeddings of an image, over the images.
        same_nearest: fraction of images whose nearest neighbour is the same for both.
        num_images: number of images that were compared.
    """

    mean_cosine: float
    min_cosine: float
    same_nearest: float
    num_images: int

    def __str__(self) -> str:
        return (
            f"cosine with the encoder {self.mean_cosine:.5f} on average, {self.min_cosine:.5f} at "
            f"least, same nearest neighbour {100 * self.same_nearest:.1f} %, on "
            f"{self.num_images} images"
        )


def measure_agreement(encoder: keras.Model, path: Path | str, images: np.ndarray) -> Agreement:
    """Measures how close an export of lower precision is to its encoder.

    Args:
        encoder: the Keras encoder.
        path: of the export.
        images: (n, side, side, 3) uint8, n > 1, which should not have been used for calibration.
    """
    reference, exported = in_float32(encoder), load_exported(path)
    parts = [images[start : start + 32] for start in range(0, len(images), 32)]
    expected = _unit(np.concatenate([reference(part, training=False) for part in parts]))  # (n, D)
    found = _unit(np.concatenate([exported(part) for part in parts]))
    cosines = (expected * found).sum(axis=1)  # (n,)
    nearest, others = (nearest_others(rows, 1)[0] for rows in (expected, found))
    return Agreement(
        float(cosines.mean()), float(cosines.min()), float((nearest == others).mean()), len(images)
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
