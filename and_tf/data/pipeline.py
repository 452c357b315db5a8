"""The tf.data pipelines: which images a step sees is a pure function of the seed and the step."""

import math

import numpy as np
import tensorflow as tf

from and_tf.data.augment import Augmentation, augment, draw
from and_tf.data.sources import ArraySource, EncodedSource

Source = ArraySource | EncodedSource


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Steps of an epoch that shows every image once; the last batch may be smaller."""
    return math.ceil(num_samples / batch_size)


def train_pipeline(
    source: Source,
    batch_size: int = 128,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    first_step: int = 0,
    load_size: int | None = None,
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
        load_size: side in pixels of the squares that the crops are cut from, by default the side
            of the augmented image.

    Returns:
        Dataset of (images (B, S, S, 3) float32 in 0..255, indices (B,) int64).

    Raises:
        ValueError: if the source has fewer images than a batch.
    """
    augmentation = augmentation or Augmentation()
    load_size = load_size or augmentation.image_size
    num_samples = len(source)
    if batch_size < 1 or num_samples < batch_size:
        raise ValueError(
            f"batch_size must be from 1 to the number of images. Received batch_size={batch_size} "
            f"for {num_samples} images from {source.name}: lower --batch_size or add images."
        )
    per_epoch = steps_per_epoch(num_samples, batch_size)

    def choose(step):
        """Indices (B,) and random draws (B, P) of a global step."""
        indices = batch_indices(num_samples, batch_size, seed, step)
        return indices, draw(tf.shape(indices)[0], seed, step)

    def load(indices, draws):
        # float32 from the start: TensorFlow would transpose uint8 planes by a slow, noisy fallback.
        images = tf.numpy_function(
            lambda places: source.load(places, load_size).astype(np.float32), [indices], tf.float32
        )
        return tf.ensure_shape(images, (None, load_size, load_size, 3)), indices, draws

    def transform(images, indices, draws):
        return augment(images, draws, augmentation), indices

    steps = tf.data.Dataset.from_generator(
        _epochs(first_step, per_epoch), output_signature=tf.TensorSpec((), tf.int64)
    )
    # Keras finds the end of data of unknown length by running into it, and the optimiser counts
    # that as a step.
    left = per_epoch - first_step % per_epoch
    steps = steps.apply(tf.data.experimental.assert_cardinality(left))
    return (
        steps.map(choose)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .map(transform, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def batch_indices(num_samples: int, batch_size: int, seed: int, step: int | tf.Tensor) -> tf.Tensor:
    """The images of a global step: (B,) int64, each once in an epoch."""
    per_epoch = steps_per_epoch(num_samples, batch_size)
    epoch, position = step // per_epoch, step % per_epoch
    start = position * batch_size
    places = tf.range(start, tf.minimum(start + batch_size, num_samples), dtype=tf.int64)
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    last = tf.constant(num_samples - 1, tf.int64)
    return tf.random.experimental.index_shuffle(places, key, last)


def _epochs(first_step: int, per_epoch: int):
    """A generator function that gives the steps of the next epoch each time it is called."""
    upcoming = iter(range(first_step // per_epoch, 1 << 40))

    def epoch_steps():
        epoch = next(upcoming)
        yield from range(max(first_step, epoch * per_epoch), (epoch + 1) * per_epoch)

    return epoch_steps


def sample_augmented(
    source: Source, augmentation: Augmentation, load_size: int, count: int = 64, seed: int = 0
) -> np.ndarray:
    """Augmented views of the first images, (count, S, S, 3) float32 in 0..255, to look at."""
    indices = np.arange(count) % len(source)
    images = source.load(indices, load_size)
    return augment(images, draw(count, seed, 0), augmentation).numpy()
