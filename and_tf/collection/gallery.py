"""A picture of a few images, each next to its nearest neighbours."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from and_tf.data.picture import grid, png
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, UserError
from and_tf.runs.atomic_files import replace_file

SOFTWARE = "and_tf gallery"  # in the metadata of a gallery
TILE_SIDE = 96  # pixels
NEIGHBOURS = 7  # at most, in a row


def check_gallery(path: Path, images: Path) -> None:
    """Refuses to overwrite a photo: a file in the folder of images that is not an earlier gallery.

    Raises:
        UserError: names the file and the remedy.
    """
    folder = Path(os.path.realpath(path.absolute().parent))
    if path.is_file() and folder.is_relative_to(os.path.realpath(images)) and not _is_ours(path):
        raise UserError(
            Argument("gallery", str(path)), f" is an image in {images}, not a gallery that this "
            "program wrote: give another name, or remove it.",
        )  # fmt: skip


def _is_ours(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == SOFTWARE
    except Exception:  # for a corrupt file, Pillow raises nearly anything
        return False


def save_gallery(path: Path, source: Source, indices: np.ndarray, rows: int, seed: int) -> None:
    """Writes a PNG with one row for each of a few random images, and prints what it shows.

    Args:
        path: of the picture.
        source: N images.
        indices: (N, m) int, nearest other images of each, nearest first.
        rows: how many images; all if there are fewer.
        seed: for choosing them.
    """
    rng = np.random.default_rng(seed)
    shown = np.sort(rng.permutation(len(source))[:rows])
    nearest = indices[shown, :NEIGHBOURS]
    order = np.concatenate([shown[:, None], nearest], axis=1)  # (rows, 1 + m)
    picture = grid(source.load(order.ravel(), TILE_SIDE), columns=order.shape[1])
    replace_file(path, png(picture, SOFTWARE))
    print(f"{len(shown)} images, each followed by its {nearest.shape[1]} nearest: {path}")
