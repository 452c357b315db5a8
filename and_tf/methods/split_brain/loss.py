"""Split-Brain's loss: per-pixel cross-entropy of predicting the other half's input."""

import numpy as np
import tensorflow as tf

from and_tf.methods.split_brain.bins import colour_bin_of, lightness_bin_of


def split_brain_losses(
    colour_logits: tf.Tensor, lightness_logits: tf.Tensor, lab: tf.Tensor
) -> tf.Tensor:
    """Sum of the two halves' cross-entropies, each averaged over positions.

    Args:
        colour_logits: (B, h, w, Q), predicted from L; see `colour_bins`.
        lightness_logits: (B, h, w, 100), predicted from ab.
        lab: (B, H, W, 3) float32, the images, which are reduced to (h, w) for the targets.

    Returns:
        (B,) float32, in nats.

    Reference: Zhang et al., CVPR 2017.
    """
    places = (colour_logits.shape[1], colour_logits.shape[2])
    reduced = area_means(lab, places)  # (B, h, w, 3)
    of_colour = _cross_entropy(colour_logits, colour_bin_of(reduced[..., 1:]))  # (B,)
    return of_colour + _cross_entropy(lightness_logits, lightness_bin_of(reduced[..., 0]))


def _cross_entropy(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy (B,) float32 of logits (B, h, w, C) and targets (B, h, w)."""
    rows = tf.reshape(tf.cast(logits, tf.float32), [-1, logits.shape[-1]])  # (B h w, C)
    # With rows TensorFlow does not compare shapes within the step, which would wait for the GPU.
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(targets, [-1]), rows)
    return tf.reduce_mean(tf.reshape(losses, [-1, *logits.shape[1:3]]), axis=(1, 2))


def area_means(images: tf.Tensor, places: tuple[int, int]) -> tf.Tensor:
    """Reduces images (B, H, W, C) to (B, h, w, C), the means over equal rectangles.

    XLA does not support `tf.image.resize` by area, and a matrix product in TensorFloat-32 on a GPU
    would round lightness to 11 significant bits, which may move it to another bin.
    """
    return _means_along(_means_along(images, 1, places[0]), 2, places[1])


def _means_along(images: tf.Tensor, axis: int, count: int) -> tf.Tensor:
    """Reduces one axis of images to `count` means over equal lengths."""
    pixels, weights = _parts(images.shape[axis], count)  # (count, K) each
    parts = tf.gather(images, pixels, axis=axis)  # (B, count, K, W, C) or (B, h, count, K, C)
    weights = weights.reshape(*weights.shape, *[1] * (3 - axis))
    return tf.reduce_sum(parts * weights, axis=axis + 1)


def _parts(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of each mean, and their weights: (count, K) int32 and float32.

    K is the largest number of pixels in a mean; where one has fewer, the excess weights are 0.
    """
    edges = np.arange(count + 1) * size / count  # of the parts
    first, last = np.floor(edges[:-1] + 1e-6), np.ceil(edges[1:] - 1e-6)
    pixels = first[:, None] + np.arange((last - first).max())  # (count, K)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0, None) * count / size
    return np.minimum(pixels, size - 1).astype(np.int32), weights.astype(np.float32)
