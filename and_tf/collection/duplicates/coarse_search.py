"""Where one thumbnail fits best into another: rotated, cropped and shifted, at low resolution.

The smaller crop is searched for in the larger one, in all eight orientations and at a few scales.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SIDE = 48  # of the thumbnails compared, pixels
COARSE = 16
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # of a crop's sides, as fractions of the whole picture's
ASPECT_TOLERANCE = 0.14  # of the log of a crop's aspect ratio, because there are few scales


class Place(NamedTuple):
    """Where a picture fits best into another.

    Attributes:
        score: (P,) correlation at COARSE pixels.
        part: (P, SIDE, SIDE, 3), the picture in the orientation in which it fits.
        aspect: (P,) its width over its height, in that orientation.
        box: (P, 4) top, left, height and width as fractions of the other's sides.
    """

    score: np.ndarray
    part: np.ndarray
    aspect: np.ndarray
    box: np.ndarray


def find_place(whole: np.ndarray, part: np.ndarray, shapes: np.ndarray) -> Place:
    """Searches for each `part` in its `whole`, both (P, SIDE, SIDE, 3).

    `shapes` (P, 2) is width over height of the whole and of the part.
    """
    grey_whole, grey_part = (_shrunk_grey(images) for images in (whole, part))
    best = np.full(len(whole), -2.0)
    box = np.zeros((len(whole), 4))
    turn = np.zeros(len(whole), int)
    for number, turned in enumerate(symmetries(grey_part)):
        shape = shapes[:, 1] if number < 4 else 1 / shapes[:, 1]
        stretch = np.log(shape / shapes[:, 0])  # of width over height of the box, on the square
        for height, width in itertools.product(SCALES, SCALES):
            rows = np.flatnonzero(np.abs(np.log(width / height) - stretch) <= ASPECT_TOLERANCE)
            if len(rows):
                score, places = _slide(grey_whole[rows], turned[rows], height, width)
                better = score > best[rows]
                rows = rows[better]
                best[rows], box[rows], turn[rows] = score[better], places[better], number
    all_turned = np.stack(list(symmetries(part)))  # (8, P, SIDE, SIDE, 3)
    aspect = np.where(turn < 4, shapes[:, 1], 1 / shapes[:, 1])
    return Place(best, all_turned[turn, np.arange(len(part))], aspect, box)


def symmetries(images: np.ndarray) -> Iterator[np.ndarray]:
    """The eight orientations of (P, S, S, ...) images, the transposed ones last."""
    for turned in (images, images.swapaxes(1, 2)):
        for upside_down in (turned, turned[:, ::-1]):
            yield upside_down
            yield upside_down[:, :, ::-1]


def _slide(
    whole: np.ndarray, part: np.ndarray, height: float, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """The highest correlation (P,) of a shrunk part with a window of the whole, and the box."""
    rows, columns = round(height * COARSE), round(width * COARSE)
    template = _resizing(COARSE, rows) @ part @ _resizing(COARSE, columns).T  # (P, h, w)
    template = _standard(template.reshape(len(part), -1))  # (P, h w)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (rows, columns), axis=(1, 2))
    places = windows.shape[1:3]
    windows = windows.reshape(len(whole), -1, rows * columns)  # (P, places, h w)
    means = windows.mean(axis=2)
    lengths = np.sqrt(np.maximum((windows**2).sum(axis=2) - means**2 * rows * columns, 1e-6))
    scores = np.matmul(windows, template[:, :, None])[:, :, 0] / lengths  # (P, places)
    best = scores.argmax(axis=1)
    top, left = np.divmod(best, places[1])
    box = np.stack([top, left, np.full_like(top, rows), np.full_like(top, columns)], axis=1)
    return scores[np.arange(len(whole)), best], box / COARSE


def _shrunk_grey(images: np.ndarray) -> np.ndarray:
    """(P, S, S, 3) to (P, COARSE, COARSE) float32."""
    matrix = _resizing(images.shape[1], COARSE)
    return (matrix @ images.mean(axis=3, dtype=np.float32) @ matrix.T).astype(np.float32)


def _resizing(source: int, target: int) -> np.ndarray:
    """(target, source) matrix: each pixel of the result is the mean of the pixels it covers."""
    edges = np.linspace(0, source, target + 1)
    pixels = np.arange(source)
    lower = np.maximum(edges[:-1, None], pixels)
    upper = np.minimum(edges[1:, None], pixels + 1)
    return np.maximum(upper - lower, 0) * target / source


def _standard(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
