"""Features of every image of a source, from a frozen encoder."""

import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from and_tf import encoders
from and_tf.data.exchange import ALONE, Sharing, gathered
from and_tf.data.partition import share_of_batches
from and_tf.data.progress import progress_bar
from and_tf.data.workers import one_ahead
from and_tf.errors import Argument, UserError
from and_tf.evaluation.feature_store import empty_features
from and_tf.evaluation.on_replicas import split_over_replicas
from and_tf.evaluation.pooling import feature_widths, pool

# {model: {(size, max_values): function}}. An evaluation during training makes four calls; tracing
# again in each took 0.3 s more for resnet_small and 1.8 s for alexnet, on top of 1.1 and 5.3 s for
# 1,000 images (medians of 5 interleaved calls, a shared machine, 2 cores). The functions hold only
# a weak reference to their model, or no entry would ever be dropped.
_COMPILED: weakref.WeakKeyDictionary[keras.Model, dict] = weakref.WeakKeyDictionary()


class Images(Protocol):
    """The images whose features are extracted: a source, or a view of one."""

    @property
    def name(self) -> str:
        """Name of the images, for messages."""

    def __len__(self) -> int:
        """Number of images."""

    def load(self, indices: np.ndarray, size: int) -> np.ndarray:
        """Images at `indices` (B,), as (B, size, size, 3) uint8."""


def extract(
    model: keras.Model,
    source: Images,
    size: int,
    batch_size: int = 256,
    max_values: int | None = None,
    progress: bool = True,
    sharing: Sharing = ALONE,
) -> np.ndarray:
    """Features of all images in the order of the source.

    The model runs in inference mode (BatchNorm uses its moving averages). If it was made in the
    scope of a strategy with several devices of this process, each device takes a part of each
    batch. Meanwhile the next batch is loaded in a background thread. The model is traced at its
    first call; later changes of its weights are taken into account, but not of its layers.

    Args:
        model: keras.Model from (B, size, size, 3) images in 0..255 to one tensor.
        source: has `len(source)` and `load(indices, size) -> (B, size, size, 3)` uint8.
        size: side of the images in pixels.
        batch_size: images per step, on all devices of this process.
        max_values: a feature map (H, W, C) with more values is average-pooled to the largest side
            that has no more; None leaves maps as they are. The usual linear protocol has 9,000.
        progress: show a progress bar on terminals.
        sharing: the processes that share the work: each loads only its part of the batches, and
            all receive all features.

    Returns:
        (N, F) float32, maps flattened as (H, W, C).

    Raises:
        UserError: if there are no images, the model has several outputs, or features are not
            finite.
    """
    _check_work(source, batch_size)
    first, stop = part = share_of_batches(len(source), sharing.number, sharing.size, batch_size)
    features: np.ndarray | None = None
    for start, batches in feature_batches(
        model, source, size, batch_size, max_values, progress, part
    ):
        if len(batches) > 1:
            raise UserError(
                f"The model must give one tensor. Received {len(batches)} from {model.name}: "
                "choose one layer."
            )
        batch = batches[0]  # (B, F)
        check_finite(batch, start, model.name)
        if features is None:
            features = np.empty((stop - first, batch.shape[1]), np.float32)
        features[start - first : start - first + len(batch)] = batch
    if features is None:  # there are fewer batches than processes
        features = np.empty((0, feature_widths(model, max_values)[0]), np.float32)
    return gathered(sharing, features, first, len(source))


def extract_layers(
    encoder: keras.Model,
    layers: Sequence[str],
    source: Images,
    size: int,
    batch_size: int = 256,
    max_values: int | None = 9000,
    memory_mb: int = 4096,
    folder: str | Path | None = None,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Features of several layers from a single pass over the images.

    They stay in memory if all layers together fit the budget; else each layer is mapped from a
    temporary file, which is filled batch by batch and disappears with its array.

    Args:
        encoder: an encoder of `and_tf.encoders`.
        layers: names or aliases of its layers.
        source, size, batch_size, max_values, progress: as in `extract`.
        memory_mb: MB (2**20 bytes) that the features of all layers may take in memory.
        folder: of the temporary files; None for the system's, which may be a disk in memory.

    Returns:
        {layer: (N, F) float32} with the layers as given.

    Raises:
        UserError: as in `extract`, or if no layer is named, the encoder lacks one, or the folder's
            disk has no room for the features.
    """
    model = layers_model(encoder, layers)
    stored: list[np.ndarray] = []
    for start, batches in feature_batches(model, source, size, batch_size, max_values, progress):
        if start == 0:
            widths = [batch.shape[1] for batch in batches]
            is_small = 4 * len(source) * sum(widths) <= memory_mb * 2**20
            place = None if is_small else folder or tempfile.gettempdir()
            stored = [empty_features(len(source), width, place) for width in widths]
        for layer, features, batch in zip(layers, stored, batches, strict=True):
            check_finite(batch, start, f"{encoder.name}, layer {layer}")
            features[start : start + len(batch)] = batch
    return dict(zip(layers, stored, strict=True))


def layers_model(encoder: keras.Model, layers: Sequence[str]) -> keras.Model:
    """A model that outputs several layers at once, and shares the encoder's weights.

    Args:
        encoder: an encoder of `and_tf.encoders`.
        layers: names or aliases of its layers.

    Raises:
        UserError: if no layer is named, or the encoder lacks one.
    """
    if not layers:
        raise UserError(Argument("layers", layers), " names no layer to take features of.")
    with encoder.distribute_strategy.scope():
        outputs = [encoders.features(encoder, layer).output for layer in layers]
        return keras.Model(encoder.input, outputs, name=encoder.name)


def feature_batches(
    model: keras.Model,
    source: Images,
    size: int,
    batch_size: int = 256,
    max_values: int | None = None,
    progress: bool = True,
    part: tuple[int, int] | None = None,
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yields the index of a batch's first image, and an array (B, F) float32 for each output.

    Args:
        part: start and stop of the images to load; None for all.
        model, source, size, batch_size, max_values, progress: as in `extract`.
    """
    _check_work(source, batch_size)
    features_of = model_features(model, size, max_values)
    start, stop = part or (0, len(source))
    with progress_bar(stop - start, "features", is_shown=progress) as bar:
        for images in _batches(source, size, range(start, stop, batch_size), stop):
            yield start, [features.numpy() for features in features_of(images)]
            start += len(images)
            bar.update(len(images))


def _check_work(source: Images, batch_size: int) -> None:
    if len(source) == 0:
        raise UserError(f"{_name(source)} holds no image: there is nothing to take features of.")
    if batch_size < 1:
        raise UserError(Argument("batch_size", batch_size), " must be at least 1.")


def model_features(model: keras.Model, size: int, max_values: int | None) -> Callable:
    """A function from images of any batch size to features, traced only once."""
    functions = _COMPILED.setdefault(model, {})
    if (size, max_values) not in functions:
        functions[size, max_values] = _compile(weakref.ref(model), size, max_values)
    return functions[size, max_values]


def _compile(reference: weakref.ref, size: int, max_values: int | None) -> Callable:

    def features_of(images: tf.Tensor) -> list[tf.Tensor]:
        model = _existing(reference)
        outputs = model(tf.cast(images, tf.float32), training=False)
        return [_flat(features, max_values) for features in tf.nest.flatten(outputs)]

    strategy = _existing(reference).distribute_strategy
    return tf.function(
        split_over_replicas(features_of, strategy),
        input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8)],
    )


def _existing(reference: weakref.ref) -> keras.Model:
    model = reference()
    assert model is not None  # the caller holds it
    return model


def _flat(features: tf.Tensor, max_values: int | None) -> tf.Tensor:
    """Flattens an output to (B, F) float32; maps are pooled first."""
    features = tf.cast(features, tf.float32)
    if features.shape.rank == 4:
        features = pool(features, max_values)
    return tf.reshape(features, (-1, np.prod(features.shape[1:], dtype=int)))


def _batches(source: Images, size: int, starts: range, stop: int) -> Iterator[np.ndarray]:
    """Yields (B, size, size, 3) uint8 in order, one batch ahead of its consumer."""

    def load(start: int) -> np.ndarray:
        return source.load(np.arange(start, min(start + starts.step, stop)), size)

    if starts:
        yield from one_ahead(load, starts)


def check_finite(batch: np.ndarray, start: int, name: str) -> None:
    is_broken = ~np.isfinite(batch).all(axis=1)
    if is_broken.any():
        raise UserError(
            f"The features of {int(is_broken.sum())} of {len(batch)} images are not finite (model "
            f"{name}, images {start} to {start + len(batch) - 1}): its weights have "
            "diverged; take an earlier checkpoint or lower the learning rate."
        )


def _name(source: Images) -> str:
    return getattr(source, "name", type(source).__name__)
