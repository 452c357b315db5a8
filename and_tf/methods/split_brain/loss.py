"""Split-Brain's loss: per-pixel cross-entropy of what the other half sees."""

import numpy as np
import tensorflow as tf

from and_tf.methods.split_brain.bins import colour_bin_of, lightness_bin_of


def split_brain_losses(
    colour_logits: tf.Tensor, lightness_logits: tf.Tensor, lab: tf.Tensor
) -> tf.Tensor:
    """Cross-entropy of both halves' predictions, the mean over places each, and their sum.

    Args:
        colour_logits: (B, h, w, Q), predicted from L; see `colour_bins`.
        lightness_logits: (B, h, w, 100), predicted from ab.
        lab: (B, H, W, 3) float32, the images, reduced to (h, w) for the targets.

    Returns:
        (B,) float32, in nats.

    Reference: Zhang et al., CVPR 2017.
    """
    places = (colour_logits.shape[1], colour_logits.shape[2])
    reduced = area_means(lab, places)  # (B, h, w, 3)
    of_colour = _cross_entropy(colour_logits, colour_bin_of(reduced[..., 1:]))  # (B,)
    return of_colour + _cross_entropy(lightness_logits, lightness_bin_of(reduced[..., 0]))


def _cross_entropy(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """(B,) float32 of logits (B, h, w, C) and targets (B, h, w)."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, tf.cast(logits, tf.float32))
    return tf.reduce_mean(losses, axis=(1, 2))


def area_means(images: tf.Tensor, places: tuple[int, int]) -> tf.Tensor:
    """Images (B, H, W, C) reduced to (B, h, w, C): means over equal rectangles.

    Two products with constant matrices, because `tf.image.resize` by area has no form in XLA.
    """
    rows, columns = (
        tf.constant(_area_weights(size, count))
        for size, count in zip(images.shape[1:3], places, strict=True)
    )
    images = tf.einsum("hH,bHWc->bhWc", rows, images)
    return tf.einsum("wW,bhWc->bhwc", columns, images)


def _area_weights(size: int, count: int) -> np.ndarray:
    """(count, size) float32: by how much of itself each pixel of a line is part of each mean."""
    edges = np.linspace(0, size, count + 1)  # of the parts
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(overlap, 0, None) * count / size).astype(np.float32)
