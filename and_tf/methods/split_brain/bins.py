"""The classes that the halves predict: bins of lightness, and bins of colours in sRGB."""

import functools

import numpy as np
import tensorflow as tf

from and_tf.data.lab import lab_from_rgb

LIGHTNESS_BINS = 100  # of L, each 1 wide
SPACING = 10  # between the centres of the bins of a and b, which are its multiples
FURTHEST = 120  # no bin in gamut lies further out: a and b reach -108 and 98


@functools.cache
def colour_bins() -> np.ndarray:
    """The centres (a, b) of the 10 x 10 bins that contain a colour of sRGB.

    The surface of the sRGB cube covers as much of the (a, b) plane as the whole cube: a line of
    constant a and b through a colour inside leaves the cube somewhere.

    Returns:
        (261, 2) float32. The original has 313 bins; how they were found is not published. Its list
        begins with the bins around (-90, 50) and (-90, 60), which contain no colour of sRGB, so no
        image can fill them.
    """
    ab = lab_from_rgb(_cube_surface()).numpy()[:, 1:]
    return SPACING * np.unique(np.rint(ab / SPACING), axis=0)


def _cube_surface() -> np.ndarray:
    """The 8-bit colours with a channel at 0 or 255: (6 x 256 x 256, 3) float32."""
    face = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).reshape(-1, 2)
    faces = [np.insert(face, at, end, axis=1) for at in range(3) for end in (0, 255)]
    return np.concatenate(faces).astype(np.float32)


@functools.cache
def _nearest_bins() -> np.ndarray:
    """The bin, (25, 25) int64, nearest to each pair of multiples of `SPACING`; itself if a bin."""
    steps = np.arange(-FURTHEST, FURTHEST + 1, SPACING)
    cells = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)  # (25, 25, 2)
    distances = np.square(cells[:, :, None] - colour_bins()).sum(axis=-1)  # (25, 25, Q)
    return distances.argmin(axis=-1)


def colour_bin_of(ab: tf.Tensor) -> tf.Tensor:
    """The bins (...) int64 of colours (..., 2).

    A colour outside sRGB, such as a mean may be, gets the nearest bin.
    """
    table = _nearest_bins()  # (25, 25)
    # Not int32, which TensorFlow computes on the host: it would wait for the GPU.
    cells = tf.cast(tf.round(ab / SPACING), tf.int64) + FURTHEST // SPACING  # (..., 2)
    cells = tf.clip_by_value(cells, 0, len(table) - 1)  # NaN gets some bin; its loss stays NaN
    return tf.gather(tf.constant(table.ravel()), cells[..., 0] * table.shape[1] + cells[..., 1])


def lightness_bin_of(lightness: tf.Tensor) -> tf.Tensor:
    """The bins (...) int64 of L (...) from 0 to 100."""
    return tf.clip_by_value(tf.cast(tf.floor(lightness), tf.int64), 0, LIGHTNESS_BINS - 1)


def lightness_bins() -> np.ndarray:
    """The centres of the bins of L, (100,) float32."""
    return np.arange(LIGHTNESS_BINS, dtype=np.float32) + 0.5
