"""A SavedModel, which decodes and resizes images itself, and runs wherever TensorFlow does."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.export import metadata
from and_tf.export.decoding.squares import decode_squares
from and_tf.export.exported_encoder import ExportedEncoder, checked_encoder, not_ours, reading
from and_tf.export.formats import Details
from and_tf.export.preprocessing import resize_and_crop
from and_tf.export.savedmodel_files import (
    DESCRIPTION,
    content_checksum,
    read_description,
)
from and_tf.runs.system_errors import system_errors


def write(encoder: keras.Model, path: Path, details: Details) -> None:
    """Writes the signatures `serving_default`, for pixels, and `encoded_images`, for files.

    Raises:
        OSError: if the disk is full.
    """
    side = encoder.input_shape[1]

    def embed(images):
        # Not keras.layers.Resizing, which would put later BatchNorm layers in training mode.
        return {"embeddings": encoder(resize_and_crop(images, side), training=False)}

    def embed_encoded(images):
        pixels, is_decoded = decode_squares(images, side)
        embeddings = encoder(pixels, training=False)
        embeddings = tf.where(is_decoded[:, None], embeddings, np.nan)
        return {"embeddings": embeddings, "is_decoded": is_decoded}

    archive = keras.export.ExportArchive()
    archive.track(encoder)
    pixels = tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")
    archive.add_endpoint("serving_default", embed, input_signature=[pixels])
    encoded = tf.TensorSpec((None,), tf.string, name="images")
    archive.add_endpoint("encoded_images", embed_encoded, input_signature=[encoded])
    with tempfile.TemporaryDirectory() as folder:  # TensorFlow reads [, ] and \ as patterns
        with system_errors(folder):
            archive.write_out(folder, verbose=False)
        _copy_folder(Path(folder), path)
    (path / DESCRIPTION).parent.mkdir(exist_ok=True)
    description = details.metadata | {metadata.CHECKSUM: content_checksum(path)}
    (path / DESCRIPTION).write_text(metadata.to_json(description) + "\n")


def _copy_folder(folder: Path, path: Path) -> None:
    """Like `shutil.copytree`, but raises the first error unchanged."""
    path.mkdir()
    for source in sorted(folder.rglob("*")):
        target = path / source.relative_to(folder)
        target.mkdir() if source.is_dir() else shutil.copyfile(source, target)


def load(path: Path | str) -> Any:
    """`tf.saved_model.load` from any path: TensorFlow reads [, ], \\, * and ? as patterns."""
    with _plain_link(Path(path)) as link:
        return tf.saved_model.load(str(link))


@contextlib.contextmanager
def _plain_link(path: Path) -> Iterator[Path]:
    """The path itself, or a link to it whose name has no pattern characters."""
    if not set(str(path)) & set("[]\\*?"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "link")
        link.symlink_to(path.absolute(), target_is_directory=True)
        yield link


def read(path: Path, is_trusted: bool = False) -> ExportedEncoder:
    """Opens a directory that `write` wrote.

    Args:
        path: of the directory.
        is_trusted: see `read_description`.

    Raises:
        BrokenFile: if it is corrupt, or a different SavedModel. Unless it is trusted, changed files
            are refused before TensorFlow opens them.
    """
    description = read_description(path, is_trusted)
    with reading(path, "a SavedModel"):
        loaded = load(path)
    signature = loaded.signatures.get("serving_default")
    inputs = signature.structured_input_signature[1] if signature else {}
    if (
        list(inputs) != ["images"]
        or list(signature.structured_outputs) != ["embeddings"]
        or inputs["images"].dtype != tf.uint8
    ):
        raise not_ours(path)
    side, embedding_dim = description.get("image_size"), description.get("embedding_dim")

    def embed(images: np.ndarray) -> np.ndarray:
        # Through `loaded`, which owns the variables and must stay alive.
        found = loaded.signatures["serving_default"](images=tf.constant(images))
        return found["embeddings"].numpy()

    def embed_encoded(files: Sequence[bytes]) -> np.ndarray:
        found = loaded.signatures["encoded_images"](images=tf.constant(list(files), tf.string))
        return found["embeddings"].numpy()

    shapes = (None, side, side, 3), (None, embedding_dim)
    return checked_encoder(path, embed, *shapes, description, embed_encoded)
