"""The classes that the halves predict: bins of lightness, and bins of colour within sRGB."""

import functools

import numpy as np
import tensorflow as tf

from and_tf.data.lab import lab_from_rgb

LIGHTNESS_BINS = 100  # of L, 1 wide
SPACING = 10  # of the bins of a and b, which lie on its multiples
FURTHEST = 120  # multiples of SPACING: none is in gamut beyond it, a and b reach -108 and 98


@functools.cache
def colour_bins() -> np.ndarray:
    """The centres (a, b) of the bins of 10 x 10 that hold a colour of sRGB.

    What the whole cube of sRGB covers of the plane of a and b its surface covers, too: a line of
    constant a and b through a colour within leaves the cube somewhere.

    Returns:
        (261, 2) float32. The original has 313 bins; how they were found is not published. Its list
        begins with the bins around (-90, 50) and (-90, 60), in which no colour of sRGB lies: no
        image can fill them.
    """
    ab = lab_from_rgb(_cube_surface()).numpy()[:, 1:]
    return SPACING * np.unique(np.rint(ab / SPACING), axis=0)


def _cube_surface() -> np.ndarray:
    """(6 x 256 x 256, 3) float32: the colours of 8 bits with a channel at 0 or 255."""
    face = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).reshape(-1, 2)
    faces = [np.insert(face, at, end, axis=1) for at in range(3) for end in (0, 255)]
    return np.concatenate(faces).astype(np.float32)


@functools.cache
def _nearest_bins() -> np.ndarray:
    """(25, 25) int64: the bin nearest to each multiple of `SPACING` of a and b, its own if any."""
    steps = np.arange(-FURTHEST, FURTHEST + 1, SPACING)
    cells = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)  # (25, 25, 2)
    distances = np.square(cells[:, :, None] - colour_bins()).sum(axis=-1)  # (25, 25, Q)
    return distances.argmin(axis=-1)


def colour_bin_of(ab: tf.Tensor) -> tf.Tensor:
    """(...) int64, the bins of colours (..., 2); of one that sRGB lacks, such as a mean, the bin
    nearest to its own."""
    table = _nearest_bins()  # (25, 25)
    # Not in int32, with which TensorFlow computes on the host alone: it would wait for a GPU.
    cells = tf.cast(tf.round(ab / SPACING), tf.int64) + FURTHEST // SPACING  # (..., 2)
    cells = tf.clip_by_value(cells, 0, len(table) - 1)  # NaN becomes any bin, its loss stays NaN
    return tf.gather(tf.constant(table.ravel()), cells[..., 0] * table.shape[1] + cells[..., 1])


def lightness_bin_of(lightness: tf.Tensor) -> tf.Tensor:
    """(...) int64, the bins of L (...) in 0..100."""
    return tf.clip_by_value(tf.cast(tf.floor(lightness), tf.int64), 0, LIGHTNESS_BINS - 1)


def lightness_bins() -> np.ndarray:
    """(100,) float32, the centres of the bins of L."""
    return np.arange(LIGHTNESS_BINS, dtype=np.float32) + 0.5
