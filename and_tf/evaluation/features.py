"""Features of every image of a source, by a frozen encoder."""

import math
import sys
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.sources import Source

# {model: {(size, max_values): function}}: a trace takes long, 0.4 s of ResNet-18 on two cores. The
# functions know their model by a weak reference, or no entry would ever leave.
_COMPILED = weakref.WeakKeyDictionary()


def extract(
    model: keras.Model,
    source: Source,
    size: int,
    batch_size: int = 256,
    max_values: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """Features of all images in the order of the source.

    The model runs in inference mode (BatchNorm by its moving averages). While it works on a batch
    the next one is loaded in a background thread. The model is traced at its first call and takes
    new weights into account, but no layers that are added or replaced after that.

    Args:
        model: keras.Model from (B, size, size, 3) images in 0..255 to one tensor.
        source: has `len(source)` and `load(indices, size) -> (B, size, size, 3)` uint8.
        size: side of the images in pixels.
        batch_size: images a step.
        max_values: a feature map (H, W, C) with more values is average-pooled to the largest side
            that keeps to it; None leaves maps as they are. The usual linear protocol has 9,000.
        progress: show a progress bar; None for only on a terminal.

    Returns:
        (N, F) float32, maps flattened as (H, W, C).

    Raises:
        ValueError: no image, a model with several outputs, features that are not finite.
    """
    num_images = len(source)
    if num_images == 0:
        raise ValueError(f"{_name(source)} holds no image: there is nothing to take features of.")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received batch_size={batch_size}.")
    features_of = _compiled(model, size, max_values)
    show = sys.stdout.isatty() if progress is None else progress
    bar = keras.utils.Progbar(num_images, verbose=int(show), unit_name="image")
    features = None
    stop = 0
    for images in _batches(source, size, batch_size):
        batch = features_of(images).numpy()  # (B, F)
        start, stop = stop, stop + len(batch)
        _check_finite(batch, start, model)
        if features is None:
            features = np.empty((num_images, batch.shape[1]), np.float32)
        features[start:stop] = batch
        if show:
            bar.update(stop)
    return features


def pooled(maps: tf.Tensor, max_values: int | None) -> tf.Tensor:
    """Average-pools maps to the largest square that keeps to a number of values, at least 1 x 1.

    Bins are those of adaptive average pooling: bin i of n covers floor(i H / n) to
    ceil((i + 1) H / n), so that neighbours overlap where n does not divide H.

    Args:
        maps: (B, H, W, C) float32 with static H, W and C.
        max_values: an image's values after pooling; None for no pooling.

    Returns:
        (B, side, side, C) float32, or the maps themselves where they are small enough.
    """
    _, height, width, channels = maps.shape
    if max_values is None or height * width * channels <= max_values:
        return maps
    side = max(1, math.isqrt(max_values // channels))
    return tf.einsum(
        "ih,bhwc,jw->bijc",
        _pooling_matrix(height, min(side, height)),
        maps,
        _pooling_matrix(width, min(side, width)),
    )


def _pooling_matrix(length, num_bins):
    """(num_bins, length) float32 weights of the means over the bins."""
    weights = np.zeros((num_bins, length), np.float32)
    for i in range(num_bins):
        start, stop = i * length // num_bins, -(-(i + 1) * length // num_bins)
        weights[i, start:stop] = 1 / (stop - start)
    return weights


def _compiled(model: keras.Model, size: int, max_values: int | None) -> Callable:
    """A function from images of any batch size, the last one too, to (B, F) float32: one trace."""
    functions = _COMPILED.setdefault(model, {})
    if (size, max_values) not in functions:
        functions[size, max_values] = _compile(weakref.ref(model), size, max_values)
    return functions[size, max_values]


def _compile(reference: weakref.ref, size: int, max_values: int | None) -> Callable:

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8)])
    def features_of(images):
        model = reference()
        features = model(tf.cast(images, tf.float32), training=False)
        if not tf.is_tensor(features):
            raise ValueError(
                "The model must give one tensor. "
                f"Received {type(features).__name__} from {model.name}: choose one layer."
            )
        features = tf.cast(features, tf.float32)
        if features.shape.rank == 4:
            features = pooled(features, max_values)
        return tf.reshape(features, (-1, np.prod(features.shape[1:], dtype=int)))

    return features_of


def _batches(source, size, batch_size):
    """Yields (B, size, size, 3) uint8 in order, one batch ahead of its consumer."""
    starts = range(0, len(source), batch_size)

    def load(start):
        return source.load(np.arange(start, min(start + batch_size, len(source))), size)

    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead = thread.submit(load, starts[0])
        for start in starts[1:]:
            images, ahead = ahead.result(), thread.submit(load, start)
            yield images
        yield ahead.result()


def _check_finite(batch, start, model):
    is_broken = ~np.isfinite(batch).all(axis=1)
    if is_broken.any():
        raise ValueError(
            f"The features of {int(is_broken.sum())} of {len(batch)} images are not finite (model "
            f"{model.name}, images {start} to {start + len(batch) - 1}): its weights have "
            "diverged; take an earlier checkpoint or lower the learning rate."
        )


def _name(source):
    return getattr(source, "name", type(source).__name__)
