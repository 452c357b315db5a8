"""The tf.data pipelines: which images a step sees is a pure function of the seed and the step."""

import math

import numpy as np
import tensorflow as tf

from and_tf.data.augmentation.augment import augment, draw
from and_tf.data.failures import recorded
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import ArraySource, EncodedSource
from and_tf.data.workers import NUM_THREADS
from and_tf.errors import UserError

Source = ArraySource | EncodedSource

# Of batches that tf.data makes ahead of the step; by default it may take half of the memory.
PREFETCH_BYTES = 1 << 30


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Steps of an epoch that shows every image once; the last batch may be smaller."""
    return math.ceil(num_samples / batch_size)


def train_pipeline(
    source: Source,
    batch_size: int = 128,
    augmentation: AugmentationSettings | None = None,
    seed: int = 0,
    first_step: int = 0,
    load_size: int | None = None,
    sends: str = "views",
    failures: list[UserError] | None = None,
) -> tf.data.Dataset:
    """One epoch of shuffled, augmented batches; each iteration over it gives the next epoch.

    The order is a perfect shuffle keyed by (seed, epoch) and the augmentation is keyed by
    (seed, global step), so that a pipeline that starts at any step gives the very batches of one
    that started at 0.

    Args:
        source: images with random access.
        batch_size: B, over all replicas; the last batch of an epoch may be smaller.
        augmentation: what is done to the images, by default the paper's for 32x32.
        seed: of order and augmentation.
        first_step: global step of the first batch. In the middle of an epoch the data set holds the
            rest of that epoch alone, for a `fit` of its own.
        load_size: L, side in pixels of the squares that the crops are cut from, by default the side
            of the augmented image.
        sends: `views`, augmented images; `images` and `draws`, for which the step itself makes the
            views, on its device, by `views.from_images` and `views.from_draws`.
        failures: takes the errors of the source, such as of a broken image, which TensorFlow
            reports as text.

    Returns:
        Dataset of (inputs, indices (B,) int64). The inputs are views (B, S, S, 3) float32 in
        0..255; or images (B, L, L, 3) uint8 and draws (B, DRAWS_PER_IMAGE) float32; or draws.

    Raises:
        ValueError: if the source has fewer images than a batch, or `sends` is unknown.
    """
    augmentation = augmentation or AugmentationSettings()
    load_size = load_size or augmentation.image_size
    num_samples = len(source)
    if batch_size < 1 or num_samples < batch_size:
        raise ValueError(
            f"batch_size must be from 1 to the number of images. Received batch_size={batch_size} "
            f"for {num_samples} images from {source.name}: lower --batch_size or add images."
        )
    if sends not in ("views", "images", "draws"):
        raise ValueError(f"sends must be views, images or draws. Received sends={sends!r}.")
    per_epoch = steps_per_epoch(num_samples, batch_size)

    def choose(step):
        """Random draws (B, P) and indices (B,) of a global step."""
        indices = batch_indices(num_samples, batch_size, seed, step)
        return draw(tf.shape(indices)[0], seed, step), indices

    # float32 at once for views: TensorFlow would transpose uint8 planes by a slow, noisy fallback.
    dtype = np.float32 if sends == "views" else np.uint8

    def load_images(places):
        return source.load(places, load_size).astype(dtype, copy=False)

    def load(draws, indices):
        function = load_images if failures is None else recorded(load_images, failures)
        images = tf.numpy_function(function, [indices], tf.as_dtype(dtype))
        return (tf.ensure_shape(images, (None, load_size, load_size, 3)), draws), indices

    def transform(inputs, indices):
        return augment(*inputs, augmentation), indices

    batches = _epoch_steps(first_step, per_epoch).map(choose, num_parallel_calls=tf.data.AUTOTUNE)
    if sends != "draws":
        batches = batches.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    if sends == "views":
        batches = batches.map(transform, num_parallel_calls=tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.autotune.ram_budget = PREFETCH_BYTES
    options.autotune.initial_parallelism = NUM_THREADS  # an epoch may end before it is found out
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def batch_indices(num_samples: int, batch_size: int, seed: int, step: int | tf.Tensor) -> tf.Tensor:
    """The images of a global step: (B,) int64, each once in an epoch."""
    per_epoch = steps_per_epoch(num_samples, batch_size)
    epoch, position = step // per_epoch, step % per_epoch
    start = position * batch_size
    places = tf.range(start, tf.minimum(start + batch_size, num_samples), dtype=tf.int64)
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    last = tf.constant(num_samples - 1, tf.int64)
    return tf.random.experimental.index_shuffle(places, key, last)


def _epoch_steps(first_step: int, per_epoch: int) -> tf.data.Dataset:
    """Global steps of an epoch, from the first step on; of the next epoch at each iteration."""
    upcoming = iter(range(first_step // per_epoch, 1 << 40))
    epochs = tf.data.Dataset.from_generator(  # one call of Python an epoch, and none a step
        lambda: iter([next(upcoming)]), output_signature=tf.TensorSpec((), tf.int64)
    )

    def steps_of(epoch):
        start = epoch * per_epoch
        return tf.data.Dataset.range(tf.maximum(start, first_step), start + per_epoch)

    # Keras finds the end of data of unknown length by running into it, and the optimiser counts
    # that as a step.
    left = per_epoch - first_step % per_epoch
    return epochs.flat_map(steps_of).apply(tf.data.experimental.assert_cardinality(left))


def sample_augmented(
    source: Source,
    augmentation: AugmentationSettings,
    load_size: int,
    count: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Augmented views of the first images, (count, S, S, 3) float32 in 0..255, to look at."""
    indices = np.arange(count) % len(source)
    images = source.load(indices, load_size)
    return augment(images, draw(count, seed, 0), augmentation).numpy()
