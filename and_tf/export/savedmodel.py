"""A SavedModel: resizes and decodes images by itself, and runs wherever TensorFlow does."""

import errno
import json
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from and_tf.export.exported_encoder import ExportedEncoder, checked_encoder, not_ours, reading
from and_tf.export.inference import describe
from and_tf.export.preprocessing import resize_and_crop

DESCRIPTION = Path("assets.extra", "encoder.json")  # TensorFlow leaves this folder alone


def write(encoder: keras.Model, path: Path) -> None:
    """Writes the signatures `serving_default`, for pixels, and `encoded_images`, for files.

    Raises:
        OSError: if the disk is full.
    """
    side = encoder.input_shape[1]

    def embed(images):
        # Not keras.layers.Resizing: it would put the BatchNorm after it in training mode.
        return {"embeddings": encoder(resize_and_crop(images, side), training=False)}

    def embed_encoded(images):
        def decode(encoded):
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            return resize_and_crop(tf.ensure_shape(image, (None, None, 3)), side)

        output = tf.TensorSpec((side, side, 3), tf.uint8)
        pixels = tf.map_fn(decode, images, fn_output_signature=output)
        return {"embeddings": encoder(pixels, training=False)}

    archive = keras.export.ExportArchive()
    archive.track(encoder)
    pixels = tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")
    archive.add_endpoint("serving_default", embed, input_signature=[pixels])
    encoded = tf.TensorSpec((None,), tf.string, name="images")
    archive.add_endpoint("encoded_images", embed_encoded, input_signature=[encoded])
    try:
        archive.write_out(str(path), verbose=False)
    except tf.errors.ResourceExhaustedError as error:  # so TensorFlow calls a full disk
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    (path / DESCRIPTION).parent.mkdir(exist_ok=True)
    (path / DESCRIPTION).write_text(json.dumps(describe(encoder), indent=2) + "\n")


def read(path: Path) -> ExportedEncoder:
    """Opens a directory that `write` wrote.

    Raises:
        BrokenFile: if it is corrupt, or another SavedModel.
    """
    with reading(path, "a SavedModel"):
        loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures.get("serving_default")
    inputs = signature.structured_input_signature[1] if signature else {}
    if (
        not (path / DESCRIPTION).is_file()
        or list(inputs) != ["images"]
        or list(signature.structured_outputs) != ["embeddings"]
        or inputs["images"].dtype != tf.uint8
    ):
        raise not_ours(path)
    with reading(path, "a SavedModel"):
        description = json.loads((path / DESCRIPTION).read_text())
        side, embedding_dim = description["image_size"], description["embedding_dim"]

    def embed(images: np.ndarray) -> np.ndarray:
        # Through `loaded`, which owns the variables and must stay alive.
        found = loaded.signatures["serving_default"](images=tf.constant(images))
        return found["embeddings"].numpy()

    return checked_encoder(path, embed, (None, side, side, 3), (None, embedding_dim))
