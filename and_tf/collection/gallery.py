"""A picture of a few images, each beside its nearest."""

from pathlib import Path

import numpy as np

from and_tf.data.picture import grid, png
from and_tf.data.sources.source import Source
from and_tf.runs.atomic_files import replace_file

TILE_SIDE = 96  # pixels
NEIGHBOURS = 7  # at most, in a row


def save_gallery(path: Path, source: Source, indices: np.ndarray, rows: int, seed: int) -> None:
    """Writes a PNG with one row for each of some images, and prints what it shows.

    Args:
        path: of the picture.
        source: N images.
        indices: (N, m) int, nearest other images of each, nearest first.
        rows: how many images; all if there are fewer.
        seed: of their choice.
    """
    rng = np.random.default_rng(seed)
    shown = np.sort(rng.permutation(len(source))[:rows])
    nearest = indices[shown, :NEIGHBOURS]
    order = np.concatenate([shown[:, None], nearest], axis=1)  # (rows, 1 + m)
    picture = grid(source.load(order.ravel(), TILE_SIDE), columns=order.shape[1])
    replace_file(path, png(picture))
    print(f"{len(shown)} images, each before its {nearest.shape[1]} nearest: {path}")
