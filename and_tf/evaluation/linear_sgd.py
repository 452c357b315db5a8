"""The linear protocol of ImageNet: classifiers on frozen layers, trained by SGD on random crops.

The classifiers of all layers are trained together: each pass of the images through the encoder
serves all of them, and no features are kept. Memory does not depend on the number of images.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.pipeline import batch_indices, steps_per_epoch
from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced
from and_tf.data.workers import one_ahead
from and_tf.errors import Argument, UserError
from and_tf.evaluation.features import check_finite, feature_batches, layers_model, model_features
from and_tf.evaluation.logistic import Standardisation, folded
from and_tf.evaluation.sgd_settings import MOMENTUM, SgdSettings
from and_tf.evaluation.square_crops import NUM_VALUES, CentreCrops, random_crops

logger = logging.getLogger(__name__)

SAMPLED = 4096  # images from which features are standardised
LOG_SECONDS = 60  # between two log lines on progress


class LinearWeights(NamedTuple):
    """A linear classifier on raw features: kernel (F, C) and bias (C,), float32."""

    kernel: np.ndarray
    bias: np.ndarray


class SgdClassifier:
    """A linear classifier on standardised features, and the state of its SGD.

    Each step is that of `torch.optim.SGD`: d = gradient + weight_decay * w, v = momentum * v + d,
    w -= learning_rate * v. Weights start at 0, which needs no seed: the loss is convex.

    Args:
        standardisation: mean and scale of each feature.
        num_classes: C.
        weight_decay: of kernel and bias.
    """

    def __init__(self, standardisation: Standardisation, num_classes: int, weight_decay: float):
        self.standardisation, self.weight_decay = standardisation, weight_decay
        shapes = (len(standardisation.mean), num_classes), (num_classes,)
        self.weights = [tf.Variable(tf.zeros(shape)) for shape in shapes]
        self.velocities = [tf.Variable(tf.zeros(shape)) for shape in shapes]
        self._mean = tf.constant(standardisation.mean, tf.float32)
        self._inverse = tf.constant(1 / standardisation.scale, tf.float32)

    def step(self, features: tf.Tensor, labels: tf.Tensor, learning_rate: tf.Tensor) -> tf.Tensor:
        """One step on features (B, F) float32, labels (B,) int32; returns the mean loss before."""
        rows = (features - self._mean) * self._inverse  # (B, F)
        kernel, bias = self.weights
        logits = tf.matmul(rows, kernel) + bias  # (B, C)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        residual = tf.nn.softmax(logits) - tf.one_hot(labels, tf.shape(logits)[1])  # (B, C)
        residual /= tf.cast(tf.shape(rows)[0], tf.float32)
        gradients = tf.matmul(rows, residual, transpose_a=True), tf.reduce_sum(residual, axis=0)
        for weight, velocity, gradient in zip(
            self.weights, self.velocities, gradients, strict=True
        ):
            velocity.assign(MOMENTUM * velocity + gradient + self.weight_decay * weight)
            weight.assign_sub(learning_rate * velocity)
        return loss

    def folded(self) -> LinearWeights:
        """The equivalent classifier on features that are not standardised."""
        kernel, bias = (weight.numpy() for weight in self.weights)
        weights = np.vstack([kernel, bias]).astype(np.float64)
        return LinearWeights(*folded(weights, self.standardisation))


def fit_linear_sgd(
    encoder: keras.Model,
    layers: Sequence[str],
    source: Source,
    labels: np.ndarray,
    num_classes: int,
    size: int,
    resized: int,
    max_values: int | None = 9600,
    settings: SgdSettings | None = None,
    progress: bool = True,
) -> dict[str, LinearWeights]:
    """Trains a linear classifier on each of several layers, all at once.

    A step takes random crops of the images, mirrored with probability 1/2. Order and crops depend
    only on the seed and the step. Each channel is normalised to zero mean and unit variance over up
    to `SAMPLED` images, in place of the BatchNorm without scale that Zhang et al. put in front.

    Args:
        encoder: an encoder of `and_tf.encoders`; it is not changed.
        layers: names or aliases of its layers.
        source: of the images.
        labels: (N,) int in -1..C - 1; images with label -1 are left out.
        num_classes: C.
        size: S, side of the encoder's input in pixels.
        resized: R, to which the shorter side of an image is resized; the crops are cut from the
            central square. At least S.
        max_values: maps (H, W, C) with more values are pooled as in `extract`.
        settings: of the optimisation.
        progress: show a progress bar on terminals.

    Returns:
        {layer: LinearWeights} with the layers as given.

    Raises:
        UserError: if no image has a label, or features or losses are not finite.

    Reference: Zhang et al., CVPR 2017; the code of Caron et al., ECCV 2018.
    """
    settings = settings or SgdSettings()
    known = np.flatnonzero(np.asarray(labels) >= 0)
    if len(known) == 0:
        raise UserError(f"None of the {len(labels)} images has a label: a classifier needs some.")
    model = layers_model(encoder, layers)
    sample = known[evenly_spaced(len(known), SAMPLED)]
    centres = CentreCrops(source.take(sample), resized)
    scales = _channel_moments(model, centres, size, max_values)
    classifiers = [SgdClassifier(each, num_classes, settings.sgd_weight_decay) for each in scales]
    features_of, step = model_features(model, size, max_values), step_of_all(classifiers)
    epochs, watch = settings.sgd_epochs, _Watch(layers)
    with progress_bar(epochs * len(known), "linear classifiers", is_shown=progress) as bar:
        for epoch in range(epochs):
            rate = settings.learning_rate(epoch)
            watch.begin(f"epoch {epoch + 1}/{epochs}, learning rate {rate:.2g}")
            for indices, crops in _epoch(source, known, size, resized, settings, epoch):
                of_batch = tf.constant(labels[indices], tf.int32)
                losses = step(list(features_of(crops)), of_batch, tf.constant(rate, tf.float32))
                watch.add(losses, len(indices))
                bar.update(len(indices))
            watch.end()
    found = [classifier.folded() for classifier in classifiers]
    return dict(zip(layers, found, strict=True))


def step_of_all(classifiers: Sequence[SgdClassifier]) -> Callable:
    """A function that takes a step of each classifier and returns their losses."""
    features = [tf.TensorSpec((None, len(each.standardisation.mean))) for each in classifiers]
    # One trace for any batch size, including the last one.
    signature = [features, tf.TensorSpec((None,), tf.int32), tf.TensorSpec(())]

    @tf.function(input_signature=signature)
    def step(features: list[tf.Tensor], labels: tf.Tensor, learning_rate: tf.Tensor) -> list:
        return [
            classifier.step(of_layer, labels, learning_rate)
            for classifier, of_layer in zip(classifiers, features, strict=True)
        ]

    return step


def _epoch(
    source: Source, known: np.ndarray, size: int, resized: int, settings: SgdSettings, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices (B,) and crops (B, S, S, 3) uint8 of each step, loaded one step ahead."""
    batch_size, seed = settings.sgd_batch_size, settings.sgd_seed
    per_epoch = steps_per_epoch(len(known), batch_size)

    def load(step: int) -> tuple[np.ndarray, np.ndarray]:
        indices = known[batch_indices(len(known), batch_size, seed, step).numpy()]
        noise = np.random.Generator(np.random.Philox(key=[seed, step]))
        images = source.load(indices, resized)
        return indices, random_crops(images, noise.random((len(indices), NUM_VALUES)), size)

    yield from one_ahead(load, range(epoch * per_epoch, (epoch + 1) * per_epoch))


def _channel_moments(
    model: keras.Model, source: CentreCrops, size: int, max_values: int | None
) -> list[Standardisation]:
    """Mean and standard deviation of each layer's channels, repeated for its (F,) features."""
    channels = [output.shape[-1] for output in model.outputs]
    sums = [np.zeros((2, count)) for count in channels]
    counts, widths = [0] * len(channels), [0] * len(channels)
    for start, batches in feature_batches(model, source, size, max_values=max_values):
        for i, batch in enumerate(batches):
            check_finite(batch, start, f"{model.name}, output {i}")
            values = batch.reshape(-1, channels[i]).astype(np.float64)
            sums[i] += values.sum(axis=0), np.square(values).sum(axis=0)
            counts[i], widths[i] = counts[i] + len(values), batch.shape[1]
    return [
        _standardisation(total / count, width)
        for total, count, width in zip(sums, counts, widths, strict=True)
    ]


def _standardisation(moments: np.ndarray, width: int) -> Standardisation:
    """Standardisation of `width` features, from the mean and mean square (2, C) of the channels."""
    mean, square = moments
    std = np.sqrt(np.maximum(square - np.square(mean), 0))
    # The rounding noise of a constant must not be scaled to unit variance.
    scale = np.where(std <= 1e-6 * np.abs(mean), np.inf, std)
    repeats = width // len(mean)
    return Standardisation(np.tile(mean, repeats), np.tile(scale, repeats))


class _Watch:
    """Mean losses of an epoch, which are logged now and then, and refused if not finite."""

    def __init__(self, layers: Sequence[str]):
        self.layers = layers
        self.logged = time.monotonic()

    def begin(self, place: str) -> None:
        """Starts an epoch; `place` names it in messages."""
        self.place, self.count = place, 0
        self.sums: list[tf.Tensor] = [tf.constant(0.0)] * len(self.layers)

    def add(self, losses: Sequence[tf.Tensor], count: int) -> None:
        """Adds the mean loss of each layer over a step's `count` images."""
        self.sums = [total + count * loss for total, loss in zip(self.sums, losses, strict=True)]
        self.count += count

    def end(self) -> None:
        """Ends an epoch; refuses a mean loss that is not finite."""
        means = [float(total) / self.count for total in self.sums]
        for layer, mean in zip(self.layers, means, strict=True):
            if not np.isfinite(mean):
                raise UserError(
                    f"The loss of the linear classifier on {layer} is not finite in {self.place}: "
                    "lower ", Argument("sgd_learning_rate"), ".",
                )  # fmt: skip
        if time.monotonic() - self.logged > LOG_SECONDS:
            parts = [f"{layer} {mean:.3f}" for layer, mean in zip(self.layers, means, strict=True)]
            logger.info("%s, losses: %s", self.place, ", ".join(parts))
            self.logged = time.monotonic()
