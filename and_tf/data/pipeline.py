"""The tf.data pipelines: which images a step sees is a pure function of the seed and the step."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.augmentation.augment import augment_others
from and_tf.data.augmentation.noise import augmentation_noise
from and_tf.data.failures import recorded
from and_tf.data.partition import leaves_some_empty, share
from and_tf.data.photo_processes import PhotoProcesses, crops_of_step
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import Source
from and_tf.data.workers import NUM_THREADS
from and_tf.errors import Argument, UserError

# Of batches that tf.data makes ahead of the step; by default it may take half of the memory.
PREFETCH_BYTES = 1 << 30
YIELDS = ("augmented", "images", "noise")


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Steps of an epoch that shows every image once; the last batch may be smaller."""
    return math.ceil(num_samples / batch_size)


def train_pipeline(
    source: Source,
    batch_size: int = 128,
    augmentation: AugmentationSettings | None = None,
    seed: int = 0,
    step: int | keras.Variable = 0,
    yields: str = "augmented",
    failures: list[UserError] | None = None,
    order: Callable[[int], np.ndarray] | None = None,
    views: int = 1,
    part: tuple[int, int] | None = None,
    processes: PhotoProcesses | None = None,
    replicas: int = 1,
) -> tf.data.Dataset:
    """The shuffled, augmented batches of one epoch: from a global step to the end of its epoch.

    The order is a perfect shuffle keyed by (seed, epoch) and the augmentation is keyed by
    (seed, global step). The data set holds no state: iterating over it, or looking at a batch,
    changes nothing. To train for several epochs give the optimizer's counter of steps, which is
    read whenever an iteration begins; with a number, each iteration gives the same epoch again.

    Args:
        source: images with random access. Those of files are decoded in every epoch, unless
            `and_tf.data.cached` keeps them.
        batch_size: B, over all replicas; the last batch of an epoch may be smaller.
        augmentation: what is done to the images, by default the paper's for 32x32.
        seed: of order and augmentation.
        step: global step of the first batch: a number, or the variable that counts the steps,
            `model.optimizer.iterations`. In the middle of an epoch the data set holds the rest of
            that epoch alone, for a `fit` of its own. It is read with the first batch, so a step
            must not count itself before it has its batch; the models of this package do not.
        yields: `augmented` images; or `images` or `noise`, of which the step itself makes them, on
            its device, by `on_device.from_images` and `on_device.from_noise`.
        failures: takes the errors of the source, such as of a broken image, which TensorFlow
            reports as text.
        order: function from an epoch to the images (N,) int that its steps show, in order, where
            that is not each once; it is called whenever an iteration begins. By default the
            shuffle.
        views: V, augmented views of each image, all cut from a file that is read once. The first
            is the same whatever their number, but for rounding in photos that are decoded smaller.
        part: number r of a process and how many R there are, which share each batch: process r
            gets the r-th part of it, in order. A batch of fewer than R images goes to all of them,
            where each image counts 1 / R: no process has a step without images.
        processes: that decode and augment photos beside this one; by default its threads do. The
            images are the same.
        replicas: R, devices of this process for which TensorFlow cuts each batch. If it would leave
            one of them without images, whose convolutions fail, the last batch comes R times over,
            one after the other, so that each device gets all of it and each image counts 1 / R.

    Returns:
        Dataset of (inputs, indices (B,) int64). The inputs are augmented images (B, S, S, 3)
        float32 in 0..255; or images (B, S, S, 3) uint8 and noise (B, VALUES_PER_IMAGE) float32, for
        images that are crops already without a crop; or noise. Where V is above 1, they have a
        second axis V. With `part`, or with copies for `replicas`, of (inputs, indices (b,), weights
        (b,) float32).

    Raises:
        UserError: if the source has fewer images than a batch, or `yields` is unknown.

    Example:

    >>> data = train_pipeline(source, batch_size=128, step=model.optimizer.iterations)
    >>> model.fit(data, epochs=50)  # another order and other crops in each epoch
    """
    settings = augmentation or AugmentationSettings()
    num_samples = len(source)
    if batch_size < 1 or num_samples < batch_size:
        raise UserError(
            Argument("batch_size", batch_size),
            f" must be from 1 to the number of images, {num_samples} from {source.name}: lower it "
            "or add images.",
        )
    if yields not in YIELDS:
        raise UserError(Argument("yields", yields), f" must be one of {', '.join(YIELDS)}.")

    def choose(step: tf.Tensor, of_epoch: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Noise (B, P) or (B, V, P) and indices (B,) of a global step."""
        indices = batch_indices(num_samples, batch_size, seed, step, of_epoch)
        return augmentation_noise(tf.shape(indices)[0], seed, step, views), indices

    if processes is not None and yields != "noise":
        processes.begin(batch_size, views, settings, yields == "augmented")

    def load(noise: tf.Tensor, indices: tf.Tensor, *weights: tf.Tensor) -> tuple:
        images = _load(source, noise, indices, settings, yields, failures, processes)
        return images, indices, *weights

    def transform(inputs: tuple, *others: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images, noise = inputs
        return augment_others(images, noise, settings), *others

    steps = _steps_of_epoch(step, steps_per_epoch(num_samples, batch_size), order)
    batches = steps.map(choose, num_parallel_calls=tf.data.AUTOTUNE)
    if part is not None:
        batches = batches.map(functools.partial(_part_of_batch, part))
    elif leaves_some_empty(num_samples % batch_size, replicas):
        batches = batches.map(functools.partial(_on_all_if_last, batch_size, replicas))
    if yields != "noise":
        batches = batches.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    if yields == "augmented":
        batches = batches.map(transform, num_parallel_calls=tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.autotune.ram_budget = PREFETCH_BYTES
    options.autotune.initial_parallelism = NUM_THREADS  # an epoch may end before it is found out
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def _part_of_batch(
    part: tuple[int, int], noise: tf.Tensor, indices: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of the noise and indices of a batch those of one process, and the weight of each image."""
    number, size = part
    count = tf.shape(indices)[0]
    is_shared = count >= size
    start, stop = share(count, number, size)
    rows = slice(tf.where(is_shared, start, 0), tf.where(is_shared, stop, count))
    weights = tf.fill(tf.shape(indices), tf.where(is_shared, 1.0, 1 / size))  # (B,)
    return noise[rows], indices[rows], weights[rows]


def _on_all_if_last(
    batch_size: int, replicas: int, noise: tf.Tensor, indices: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Noise and indices of a batch, the last one as often as there are replicas, and the weight of
    each image."""
    copies = tf.where(tf.shape(indices)[0] < batch_size, replicas, 1)
    weights = tf.fill(tf.shape(indices), 1 / tf.cast(copies, tf.float32))  # (B,)
    noise = tf.tile(noise, [copies] + [1] * (noise.shape.rank - 1))
    return noise, tf.tile(indices, [copies]), tf.tile(weights, [copies])


def _load(
    source: Source,
    noise: tf.Tensor,
    indices: tf.Tensor,
    settings: AugmentationSettings,
    yields: str,
    failures: list[UserError] | None,
    processes: PhotoProcesses | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images (B, S, S, 3) and noise (B, P) of a step, or those of its views, for `augment`.

    Where augmented ones are asked for, in float32, and crops of photos are augmented here.
    """

    def load_crops(noise: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if processes is not None:
            return processes.load(source, indices, noise)
        return crops_of_step(source, indices, noise, settings, is_augmented)

    is_augmented = yields == "augmented"
    function = recorded(load_crops, failures)
    dtypes = [np.float32 if is_augmented else np.uint8, tf.float32]
    images, rest = tf.numpy_function(function, [noise, indices], dtypes)
    shape = (*noise.shape[:-1], settings.image_size, settings.image_size, 3)
    return tf.ensure_shape(images, shape), tf.ensure_shape(rest, noise.shape)


def batch_indices(
    num_samples: int,
    batch_size: int,
    seed: int,
    step: int | tf.Tensor,
    of_epoch: np.ndarray | tf.Tensor | None = None,
) -> tf.Tensor:
    """The images of a global step: (B,) int64, each once in an epoch.

    Args:
        num_samples, batch_size, seed: of `train_pipeline`.
        step: global step.
        of_epoch: (N,) int64, the images of the step's epoch where a method orders them.
    """
    per_epoch = steps_per_epoch(num_samples, batch_size)
    epoch, position = step // per_epoch, step % per_epoch
    start = position * batch_size
    places = tf.range(start, tf.minimum(start + batch_size, num_samples), dtype=tf.int64)
    if of_epoch is not None:
        return tf.gather(of_epoch, places)
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    last = tf.constant(num_samples - 1, tf.int64)
    return tf.random.experimental.index_shuffle(places, key, last)


def _steps_of_epoch(
    step: int | keras.Variable,
    per_epoch: int,
    order: Callable[[int], np.ndarray] | None,
) -> tf.data.Dataset:
    """Global steps from the one at which an iteration begins to the end of its epoch.

    Each with the images (N,) of the epoch, where there is an order.
    """
    left = per_epoch - _number(step) % per_epoch

    def first_step() -> Iterator[tuple]:
        first = _number(step)  # read anew by each iteration
        if per_epoch - first % per_epoch != left:
            raise RuntimeError(
                f"The pipeline was made for the last {left} step(s) of an epoch and is started "
                f"at step {first} of epochs of {per_epoch}: make another one to continue there."
            )
        yield (first,) if order is None else (first, order(first // per_epoch))

    # One call of Python an epoch, and none a step. A variable that the graph itself reads could not
    # be distributed over replicas.
    signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int64))
    begin = tf.data.Dataset.from_generator(
        first_step, output_signature=signature[: 1 if order is None else 2]
    )
    steps = begin.flat_map(
        lambda first, *of_epoch: tf.data.Dataset.range(first, first + left).map(
            lambda step: (step, *of_epoch)
        )
    )
    # Keras finds the end of data of unknown length by running into it, and the optimizer counts
    # that as a step.
    return steps.apply(tf.data.experimental.assert_cardinality(left))


def _number(step: int | keras.Variable) -> int:
    return int(step.numpy() if hasattr(step, "numpy") else step)  # also of a mirrored variable


def augmented_images(
    source: Source,
    indices: np.ndarray,
    noise: np.ndarray,
    augmentation: AugmentationSettings,
) -> np.ndarray:
    """Images as a training step sees them, outside of a pipeline.

    Args:
        source: images with random access.
        indices: (B,) int.
        noise: (B, VALUES_PER_IMAGE) float32 from `augmentation_noise`.
        augmentation: what is done to the images.

    Returns:
        (B, S, S, 3) float32 in 0..255.
    """
    crops, rest = crops_of_step(source, indices, noise, augmentation, is_augmented=True)
    return augment_others(tf.constant(crops), tf.constant(rest), augmentation).numpy()


def sample_augmented(
    source: Source, augmentation: AugmentationSettings, count: int = 64, seed: int = 0
) -> np.ndarray:
    """The first images, augmented, (count, S, S, 3) float32 in 0..255, to look at."""
    indices = np.arange(count) % len(source)
    noise = augmentation_noise(count, seed, 0).numpy()
    return augmented_images(source, indices, noise, augmentation)
