"""An export ready to run, and the errors for files that are not exports of this package."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.errors import BrokenFile, UserError

Embed = Callable[[np.ndarray], np.ndarray]
EmbedEncoded = Callable[[Sequence[bytes]], np.ndarray]


class ExportedEncoder:
    """An export of any format, ready to run.

    Args:
        embed: callable from (B, image_size, image_size, 3) uint8 to (B, embedding_dim).
        image_size: int, side in pixels.
        embedding_dim: int, D.
        metadata: the export's own description, see `export.metadata`; empty if there is none.
        name: for messages, such as the path.
        embed_encoded: callable from the bytes of B image files to (B, embedding_dim), NaN where a
            file cannot be decoded; None for formats that do not decode files.
    """

    def __init__(
        self,
        embed: Embed,
        image_size: int,
        embedding_dim: int,
        metadata: dict[str, Any] | None = None,
        name: str = "The encoder",
        embed_encoded: EmbedEncoded | None = None,
    ):
        self._embed = embed
        self.image_size = image_size
        self.embedding_dim = embedding_dim
        self.metadata = metadata or {}
        self.name = name
        self.embed_encoded = embed_encoded

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Embeddings (B, D) float32 of images (B, image_size, image_size, 3) uint8.

        Raises:
            UserError: if the images have a different size or dtype.
        """
        images = np.asarray(images)
        expected = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise UserError(
                f"This encoder takes uint8 images of shape (B, {str(expected)[1:]}. Received "
                f"{images.dtype} of shape {images.shape}: resize and crop them first."
            )
        if len(images) == 0:
            return np.empty((0, self.embedding_dim), np.float32)
        return np.asarray(self._embed(images))  # (B, D)


def checked_encoder(
    path: Path,
    embed: Embed,
    input_shape: Sequence,
    output_shape: Sequence,
    metadata: dict[str, Any] | None = None,
    embed_encoded: EmbedEncoded | None = None,
) -> ExportedEncoder:
    """An `ExportedEncoder` that maps (B, side, side, 3) to (B, D).

    Raises:
        BrokenFile: if the shapes differ from these.
    """
    match (*input_shape,), (*output_shape,):
        case (_, int(side), int(width), 3), (_, int(dim)) if side == width and min(side, dim) > 0:
            return ExportedEncoder(embed, side, dim, metadata, str(path), embed_encoded)
    raise not_ours(path)


@contextlib.contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """A context that turns any exception of a reader into a `BrokenFile` that names the file."""
    try:
        yield
    except Exception as error:
        raise BrokenFile(
            f"{path} cannot be read as {kind} and may be corrupt ({first_line(error)}). "
            "Export the encoder again."
        ) from error


def not_ours(path: Path) -> BrokenFile:
    """The error for a model that is valid but not an encoder of this package."""
    return BrokenFile(
        f"{path} is not an encoder written by export.py: expected uint8 `images` to `embeddings`. "
        "Name an export, or a run's folder."
    )


def first_line(error: BaseException) -> str:
    """The first line of an error, at most 200 characters; its type if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
