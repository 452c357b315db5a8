"""A picture of queries and their nearest images."""

import numpy as np
from PIL import Image

from and_tf.data.picture import grid

TILE = 64  # pixels
FRAME = 3
RED = (213, 0, 0)


def gallery_picture(tiles: np.ndarray, is_wrong: np.ndarray) -> Image.Image:
    """Rows of tiles (m, 1 + k, H, W, 3) uint8; tiles of `is_wrong` (m, 1 + k) are framed in red."""
    columns = tiles.shape[1]
    framed = []
    for tile, wrong in zip(tiles.reshape(-1, *tiles.shape[2:]), is_wrong.ravel(), strict=True):
        large = np.array(Image.fromarray(tile).resize((TILE, TILE)))
        canvas = np.full((TILE + 2 * FRAME,) * 2 + (3,), RED if wrong else 255, np.uint8)
        canvas[FRAME:-FRAME, FRAME:-FRAME] = large
        framed.append(canvas)
    return grid(np.stack(framed), columns=columns, scale=1)
