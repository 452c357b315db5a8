"""Embeddings in Python: of a folder, files or arrays, by any kind of encoder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from and_tf.collection.encoder import embed_source, in_memory, open_encoder
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.source import Source, array_source
from and_tf.data.startup_lines import look_for_devices
from and_tf.encoders.pooling import pooled_features
from and_tf.encoders.stages import AUTO_LAYER
from and_tf.encoders.unit_output import with_unit_rows
from and_tf.errors import Argument, NotFound, UserError
from and_tf.export import ExportedEncoder
from and_tf.methods.method_model import MethodModel
from and_tf.runs.places import expanded


class Embedded(NamedTuple):
    """The embeddings of image files; numpy treats it as the array of the embeddings.

    Attributes:
        names: N paths; those of a folder's images are relative to it.
        embeddings: (N, D) float32, rows of unit length, in the order of the names.
    """

    names: list[str]
    embeddings: np.ndarray

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.embeddings, dtype=dtype, copy=copy)


def embed(
    images: str | Path | Sequence[Any] | np.ndarray,
    encoder: keras.Model | ExportedEncoder | str | Path,
    layer: str = AUTO_LAYER,
    batch_size: int = 64,
    skip_broken: bool = False,
) -> Any:
    """Embeds images, each resized by its shorter side and cropped to its centre, as in evaluation.

    Args:
        images: a folder, searched with its sub-folders; a list of image files; or arrays: (N, H, W,
            3) or (N, H, W) uint8, or a list of (H, W, 3) uint8 of any sizes.
        encoder: a `keras.Model` that takes square images in 0..255, whose output is scaled to unit
            length; an `AND` model; the result of `export.load_exported`; or what `embed.py` takes
            as its model: a run's folder, an export, or the name of pretrained weights.
        layer: layer whose features to use, see `encoders.pooled_features`. For a `keras.Model` or
            an export, `auto` is its output.
        batch_size: images embedded at once.
        skip_broken: leave out images of a folder that cannot be decoded.

    Returns:
        For arrays, an (N, D) float32 array with rows of unit length; for a folder or files,
        `Embedded`, which also has the names.

    Raises:
        UserError: if images or encoder are not as above, or cannot be read; it says what to do.

    Example:

    >>> names, embeddings = and_tf.embed("photos", "runs/photos")
    >>> indices, cosines = and_tf.neighbours(embeddings, k=5)
    >>> print(names[0], "is nearest to", names[indices[0, 0]])
    """
    look_for_devices()
    exported = _encoder(encoder, layer)
    source = _source(images, exported.image_size, skip_broken)
    embeddings = embed_source(exported, source, batch_size)  # (N, D)
    return embeddings if source.names is None else Embedded(list(source.names), embeddings)


def _encoder(encoder: Any, layer: str) -> ExportedEncoder:
    if isinstance(encoder, str | Path):
        return open_encoder(str(encoder), layer=layer)
    if isinstance(encoder, MethodModel):
        encoder = encoder.encoder
    if isinstance(encoder, ExportedEncoder):
        if layer != AUTO_LAYER:
            raise UserError(
                Argument("layer", layer), " cannot be taken from an export: leave it out, or pass "
                "the run or the keras.Model.",
            )  # fmt: skip
        return encoder
    if layer != AUTO_LAYER:
        return in_memory(_for_square_images(pooled_features(encoder, layer)))
    return in_memory(_for_square_images(with_unit_rows(encoder)))


def _for_square_images(encoder: keras.Model) -> keras.Model:
    shape = tuple(encoder.input_shape)
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
        raise UserError(
            Argument("encoder"), f" takes images of shape {shape[1:]}, but must take (side, side, "
            "3) with a fixed side: put keras.Input((side, side, 3)) before it.",
        )  # fmt: skip
    return encoder


def _source(images: Any, size: int, skip_broken: bool) -> Source:
    """The images as a source, with random access."""
    if isinstance(images, str | os.PathLike):
        path = expanded(images)
        return (
            _file_source([path]) if path.is_file() else open_folder(path, skip_broken=skip_broken)
        )
    if isinstance(images, np.ndarray) and images.dtype != object:
        return array_source(images)
    images = list(images)
    if not images:
        raise UserError(Argument("images"), " is empty: there is nothing to embed.")
    if all(isinstance(image, str | os.PathLike) for image in images):
        return _file_source([expanded(image) for image in images])
    return array_source(np.stack([_resized(image, size) for image in images]))


def _file_source(paths: list[Path]) -> EncodedSource:
    for path in paths:
        if not path.is_file():
            raise NotFound(
                f"{path} does not exist or is not a file: name image files, or one folder."
            )
    names = [str(path) for path in paths]
    sizes = np.array([path.stat().st_size for path in paths], np.int64)
    return EncodedSource(names, f"{len(paths):,} files", names=names, sizes=sizes)


def _resized(image: Any, size: int) -> np.ndarray:
    """(size, size, 3) uint8 of one array."""
    return array_source(np.asarray(image)[None]).load([0], size)[0]
