"""Augmentation of photos before the training step, one by one, without TensorFlow.

Other processes can therefore import it. Small images are left to `augment.augment_others`, which
takes all of them together.
"""

import numpy as np

from and_tf.data.augmentation.crop_box import has_whole_crop
from and_tf.data.augmentation.photo import augment_crop
from and_tf.data.settings import AugmentationSettings
from and_tf.data.workers import in_threads


def augment_crops(
    images: np.ndarray,
    noise: np.ndarray,
    settings: AugmentationSettings,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Augments those of a step's images that are crops already.

    Args:
        images: (..., S, S, 3) uint8, as `load_crops` of a source returns them.
        noise: (..., VALUES_PER_IMAGE) float32, which it returns with them.
        settings: of the augmentation.
        out: (..., S, S, 3) float32, takes the result; by default a new array.

    Returns:
        (..., S, S, 3) float32 in 0..255, the other images as they were.
    """
    is_crop = has_whole_crop(noise)
    augmented = np.empty(images.shape, np.float32) if out is None else out

    def augment_one(row: int) -> None:
        place = np.unravel_index(row, is_crop.shape)
        if is_crop[place]:
            augment_crop(images[place], noise[place], settings, out=augmented[place])
        else:
            augmented[place] = images[place]

    if is_crop.any():
        in_threads(augment_one, is_crop.size)
    else:
        augmented[...] = images
    return augmented
