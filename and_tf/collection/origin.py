"""What made a table: the images, the encoder, and how to tell that it is the same encoder."""

from __future__ import annotations

import base64
import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np

import and_tf
from and_tf.collection.encoder import check_finite, open_encoder
from and_tf.encoders.stages import AUTO_LAYER
from and_tf.errors import Argument, NotFound, UserError
from and_tf.export import ExportedEncoder
from and_tf.runs.places import expanded
from and_tf.runs.workdir import newest_run

REFERENCES = 4  # images whose embeddings tell encoders apart
TOLERANCE = (
    1e-3  # per value, between comparable vectors: formats and machines round, training moves more
)

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Origin:
    """What made a table, as stored in its metadata.

    Attributes:
        images: absolute path of the folder.
        model: absolute path of the encoder, or its name.
        checkpoint: of a run.
        layer: whose features the embeddings are, or `auto`.
        image_size: pixels.
        batch_size: images embedded at once, on which the last digits depend.
        reference: base64 of (4, D) float32, the encoder's embeddings of the reference images.
        version: of and_tf.
    """

    images: str
    model: str
    checkpoint: str
    layer: str
    image_size: int
    batch_size: int
    reference: str
    version: str = and_tf.__version__

    def metadata(self) -> dict[str, Any]:
        """A dict, as `write_table` takes it."""
        return dataclasses.asdict(self)


def origin_of(metadata: dict[str, Any]) -> Origin | None:
    """The origin of a table from its metadata; None for tables of earlier versions."""
    fields = [field.name for field in dataclasses.fields(Origin)]
    if not all(name in metadata for name in fields):
        return None
    return Origin(**{name: metadata[name] for name in fields})


def model_place(model: str) -> str:
    """Absolute path of a model, by default of the newest run; other names are left as they are."""
    if not model:
        return str(newest_run().path.absolute())
    path = expanded(model)
    return str(path.absolute()) if path.exists() else model


def reference_embeddings(encoder: ExportedEncoder) -> np.ndarray:
    """(4, D) float32: embeddings of images that are the same on every machine, in every version."""
    coarse = np.random.RandomState(0).randint(0, 256, (REFERENCES, 8, 8, 3))  # a frozen generator
    places = np.arange(encoder.image_size) * 8 // encoder.image_size
    return np.asarray(encoder(coarse[:, places][:, :, places].astype(np.uint8)), np.float32)


def encoded(reference: np.ndarray) -> str:
    """Reference embeddings as text."""
    return base64.b64encode(np.asarray(reference, "<f4").tobytes()).decode()


def encoder_of(
    table: Path, origin: Origin | None, model: str, width: int, trust_model: bool = False
) -> ExportedEncoder:
    """The encoder that made a table.

    Args:
        table: path, for messages.
        origin: of the table; None if it is not recorded.
        model: where the encoder is now; empty if it was not moved.
        width: D of the table's embeddings.
        trust_model: see `load_exported`.

    Raises:
        NotFound: if it is not there.
        UserError: if it is a different one, or not known.
    """
    if not (place := model or (origin.model if origin else "")):
        raise UserError(
            f"{table} was written by an earlier version and does not say which encoder made it: "
            "name it with ", Argument("model"), ", or embed the photos again.",
        )  # fmt: skip
    try:
        if origin:
            layer = origin.layer or AUTO_LAYER
            encoder = open_encoder(place, origin.checkpoint, layer, trust_model)
        else:
            encoder = open_encoder(place, trust_model=trust_model)
    except NotFound as error:
        raise NotFound(
            f"{table} was made by the encoder {place}, which is not there (", *error.parts,
            "): say where it is now with ", Argument("model"), ", or embed the photos again.",
        ) from error  # fmt: skip
    if encoder.embedding_dim != width:
        raise _other_encoder(table, origin, f"gives {encoder.embedding_dim} values, not {width}")
    if origin is not None:
        check_same(table, origin, encoder)
    return encoder


def check_same(
    table: Path, origin: Origin, encoder: ExportedEncoder, tolerance: float = TOLERANCE
) -> bool:
    """Refuses an encoder whose embeddings cannot be compared with those of a table.

    Returns:
        Whether it reproduces the reference embeddings to the last bit.

    Raises:
        UserError: if it is another encoder.
    """
    if encoder.image_size != origin.image_size:
        sizes = f"takes images of {encoder.image_size} pixels, not {origin.image_size}"
        raise _other_encoder(table, origin, sizes)
    before = np.frombuffer(base64.b64decode(origin.reference), "<f4")
    if before.size != REFERENCES * encoder.embedding_dim:
        width = before.size // REFERENCES
        raise _other_encoder(table, origin, f"gives {encoder.embedding_dim} values, not {width}")
    now = reference_embeddings(encoder)
    check_finite(now, encoder)
    difference = float(np.abs(now.ravel() - before).max())
    if not difference <= tolerance:
        raise _other_encoder(
            table, origin, f"embeds a test image differently, by up to {difference:.2g} per value"
        )
    return difference == 0


def _other_encoder(table: Path, origin: Origin | None, reason: str) -> UserError:
    maker = "another encoder" if origin is None else f"another encoder, {origin.model}"
    layer = f" (layer {origin.layer})" if origin and origin.layer else ""
    return UserError(
        f"{table} was made by {maker}{layer}: this one {reason}, so their vectors cannot be "
        "compared. Name that encoder with ", Argument("model"),
        ", or embed all photos again with this one.",
    )  # fmt: skip
