"""Checks the batches of images and indices that are passed to `fit` and `evaluate`.

A Keras user may easily pass labels instead of indices, and everything would run, but with the loss
of other images' rows.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.errors import Argument, UserError

REMEDY = (
    "yield (images, indices), the index of an image being its own number from 0 to "
    "num_samples - 1, as `train_pipeline` does, or fit(images, np.arange(len(images)))"
)


def images_and_targets(data: Any, kind: str = "indices") -> tuple[Any, tf.Tensor]:
    """Splits a batch into images and targets, and checks it.

    Args:
        data: a batch, as Keras passes it to a step.
        kind: what the targets are: `indices` or `labels`.

    Returns:
        Images, or whatever the step makes them from, and (B,) int targets.

    Raises:
        UserError: if targets are missing or not integers, or if there are weights.
    """
    inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
    if targets is None:
        raise UserError(f"The batches hold images without {kind}: {REMEDY}.")
    if weights is not None:
        raise UserError(
            Argument("sample_weight"), " is not used: every image counts alike. Leave it out."
        )
    if isinstance(targets, np.ndarray):  # the step is called outside `fit`
        targets = tf.convert_to_tensor(targets)
    if not isinstance(targets, tf.Tensor) or not targets.dtype.is_integer:
        found = getattr(targets, "dtype", type(targets))
        raise UserError(
            f"The {kind} of a batch must be integers. Received {getattr(found, 'name', found)}: "
            f"cast them, and {REMEDY}."
        )
    if targets.shape.rank is None:  # the step was traced for columns and for vectors
        targets = tf.reshape(targets, [-1])
    if targets.shape.rank == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.shape.rank != 1:
        raise UserError(
            f"The {kind} of a batch must be one integer for each image. Received shape "
            f"{targets.shape}: {REMEDY}."
        )
    # TensorFlow can only gather by these two types.
    return inputs, targets if targets.dtype == tf.int32 else tf.cast(targets, tf.int64)


def without_weights(data: Any) -> tuple[Any, tf.Tensor]:
    """Separates a batch of `train_pipeline` for replicas from the weights (B,) of its images.

    If a batch has no weights, each image counts as 1.
    """
    inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
    if weights is None:
        weights = tf.ones(tf.shape(targets)[:1])
    return (inputs, targets), weights


def summary(indices: tf.Tensor) -> tf.Tensor:
    """(3,) int64: the lowest index, the highest, and how many repeat an earlier one."""
    indices = tf.cast(indices, tf.int64)
    repeats = tf.size(indices, tf.int64) - tf.size(tf.unique(indices).y, tf.int64)
    return tf.stack([tf.reduce_min(indices), tf.reduce_max(indices), repeats])


def are_valid(found: tf.Tensor | np.ndarray, num_samples: int, may_repeat: bool = False) -> Any:
    """Whether the indices summarised in `found` are images, each at most once unless `may_repeat`.

    Without indices it is True.
    """
    are_images = (found[0] >= 0) & (found[1] < num_samples)
    return are_images if may_repeat else are_images & (found[2] == 0)


def refuse(found: np.ndarray, num_samples: int, cause: Exception) -> None:
    """Raises an error that describes what is wrong with the indices summarised in `found`.

    Raises:
        UserError: always.
    """
    lowest, highest, repeats = (int(value) for value in found)
    if repeats and lowest >= 0 and highest < num_samples:
        raise UserError(
            f"{repeats} indices of a batch repeat another one in it. If they are class labels, "
            f"which training does not use: {REMEDY}. To evaluate on labels give ",
            Argument("train_labels"), " to `compile`. Batch a data set before repeating it.",
        ) from cause  # fmt: skip
    wrong = lowest if lowest < 0 else highest
    raise UserError(
        f"Index {wrong} of a batch is not that of a training image: ",
        Argument("num_samples", num_samples), f" allows 0 to {num_samples - 1}. Make the model "
        f"with the number of training images, and {REMEDY}.",
    ) from cause  # fmt: skip
