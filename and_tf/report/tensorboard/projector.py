"""The files of TensorBoard's projector: points, thumbnails, labels and names."""

import dataclasses
import math
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.plugins import projector

MAX_SPRITE = 8192  # pixels per side; the projector refuses larger pictures
THUMBNAIL = 48  # pixels
CONFIG = "projector_config.pbtxt"


@dataclasses.dataclass(frozen=True)
class Points:
    """Images as points of the projector.

    Attributes:
        embeddings: (n, D) float.
        images: (n, H, W, 3) uint8, their thumbnails.
        names: of the images.
        class_names: of each image; an empty string if it is unknown.
    """

    embeddings: np.ndarray
    images: np.ndarray
    names: list[str]
    class_names: list[str]


def write_projector(folder: Path, points: Points) -> None:
    """Writes points and thumbnails, and the file that tells the projector where they are."""
    np.savetxt(folder / "embeddings.tsv", points.embeddings, fmt="%.6g", delimiter="\t")
    sprite, side = _sprite(points.images)
    sprite.save(folder / "sprite.png")
    _write_metadata(folder / "metadata.tsv", points)
    config = projector.ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name = "embeddings"
    entry.tensor_path = "embeddings.tsv"
    entry.metadata_path = "metadata.tsv"
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend([side, side])
    projector.visualize_embeddings(str(folder), config)


def _sprite(images: np.ndarray) -> tuple[Image.Image, int]:
    """All thumbnails in one square picture, row by row, and the side of a thumbnail in pixels."""
    columns = math.ceil(math.sqrt(len(images)))
    side = min(THUMBNAIL, MAX_SPRITE // columns)
    sprite = Image.new("RGB", (columns * side, columns * side), "white")
    for number, image in enumerate(images):
        thumbnail = Image.fromarray(image).resize((side, side))
        sprite.paste(thumbnail, (number % columns * side, number // columns * side))
    return sprite, side


def _write_metadata(path: Path, points: Points) -> None:
    """Writes columns label and name; the projector expects a header for two or more columns."""
    lines = ["label\tname"]
    for label, name in zip(points.class_names, points.names, strict=True):
        lines.append("\t".join(" ".join(cell.split()) for cell in (label or "none", name)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
