"""Images rebuilt from the predictions of Split-Brain's halves."""

import keras
import numpy as np
from PIL import Image
from scipy.special import softmax

from and_tf.data.lab import rgb_from_lab
from and_tf.methods.split_brain.bins import colour_bins, lightness_bins
from and_tf.methods.split_brain.loss import area_means


def rebuilt_images(predictor: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Replaces the lightness, the colour, or both, of images by the halves' predictions.

    A prediction is the mean of the predicted distribution at each position of the last feature map,
    enlarged to the size of the images.

    Args:
        predictor: from `build_predictor`.
        images: (n, H, W, 3) uint8.

    Returns:
        Images by caption, each (n, H, W, 3) uint8. The first is the best possible prediction: the
        images reduced to the resolution of the last feature map and enlarged again.
    """
    colour_logits, lightness_logits, lab = (
        np.asarray(each, np.float32)
        for each in predictor(images.astype(np.float32), training=False)
    )
    places = colour_logits.shape[1:3]
    colour = _enlarged(softmax(colour_logits, axis=-1) @ colour_bins(), images.shape[1:3])
    lightness = softmax(lightness_logits, axis=-1) @ lightness_bins()[:, None]  # (n, h, w, 1)
    lightness = _enlarged(lightness, images.shape[1:3])
    reduced = _enlarged(np.asarray(area_means(lab, places)), images.shape[1:3])
    rebuilt = {
        f"reduced to {places[0]} x {places[1]}": reduced,
        "both predicted": np.concatenate([lightness, colour], axis=-1),
        "colour predicted": np.concatenate([lab[..., :1], colour], axis=-1),
        "lightness predicted": np.concatenate([lightness, lab[..., 1:]], axis=-1),
    }
    return {name: np.rint(rgb_from_lab(each)).astype(np.uint8) for name, each in rebuilt.items()}


def _enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges maps (n, h, w, C) to (n, H, W, C) float32, by bicubic interpolation."""
    planes = maps.transpose(0, 3, 1, 2).reshape(-1, *maps.shape[1:3])  # (n x C, h, w)
    large = [
        np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC))
        for plane in planes.astype(np.float32)
    ]
    return np.stack(large).reshape(len(maps), -1, *size).transpose(0, 2, 3, 1)
