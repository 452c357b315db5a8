"""Average-pooling of feature maps to a limited number of values, and the resulting number."""

import math

import keras
import numpy as np
import tensorflow as tf


def pool(maps: tf.Tensor, max_values: int | None) -> tf.Tensor:
    """Average-pools maps to the largest square with at most `max_values`, but at least 1 x 1.

    Bins are those of adaptive average pooling: bin i of n covers floor(i H / n) to
    ceil((i + 1) H / n), so that neighbours overlap if n does not divide H.

    Args:
        maps: (B, H, W, C) float32 with static H, W and C.
        max_values: values per image after pooling; None for no pooling.

    Returns:
        (B, side, side, C) float32, or the maps themselves if they are small enough.
    """
    _, height, width, channels = maps.shape
    rows, columns = pooled_grid(height, width, channels, max_values)
    if (rows, columns) == (height, width):
        return maps
    return tf.einsum(
        "ih,bhwc,jw->bijc", _pooling_matrix(height, rows), maps, _pooling_matrix(width, columns)
    )


def pooled_grid(height: int, width: int, channels: int, max_values: int | None) -> tuple[int, int]:
    """Rows and columns of a map after `pool`."""
    if max_values is None or height * width * channels <= max_values:
        return height, width
    side = max(1, math.isqrt(max_values // channels))
    return min(side, height), min(side, width)


def feature_widths(model: keras.Model, max_values: int | None) -> list[int]:
    """F, the number of values of each output of a model after pooling, without running it."""
    widths = []
    for output in model.outputs:
        shape = output.shape[1:]
        if len(shape) == 3:
            height, width, channels = shape
            shape = (*pooled_grid(height, width, channels, max_values), channels)
        widths.append(int(np.prod(shape, dtype=int)))
    return widths


def _pooling_matrix(length: int, num_bins: int) -> np.ndarray:
    """(num_bins, length) float32, the weights that average over the bins."""
    weights = np.zeros((num_bins, length), np.float32)
    for i in range(num_bins):
        start, stop = i * length // num_bins, -(-(i + 1) * length // num_bins)
        weights[i, start:stop] = 1 / (stop - start)
    return weights
