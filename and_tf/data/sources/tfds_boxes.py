"""The bounding boxes of TFDS sets, such as `bbox` of caltech_birds2011."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from and_tf.data.sources.tfds_prepare import import_tfds
from and_tf.errors import Argument, NoBoxes

Key = tuple[str, ...]


def box_key(info: Any) -> Key:
    """The feature that holds the boxes, of an image or of each object in a sequence.

    Raises:
        NoBoxes: if there is none.
    """
    tfds = import_tfds()
    for name, feature in info.features.items():
        if isinstance(feature, tfds.features.BBoxFeature):
            return (name,)
        inner: Any = getattr(feature, "feature", None)  # of a sequence
        for inner_name, inner_feature in inner.items() if hasattr(inner, "items") else ():
            if isinstance(inner_feature, tfds.features.BBoxFeature):
                return (name, inner_name)
    raise NoBoxes(
        Argument("crop_to_box", True), " needs bounding boxes, and ",
        Argument("data", f"tfds:{info.name}"), f" has none, only {', '.join(info.features)}: leave "
        "it out.",
    )  # fmt: skip


def enclosing_boxes(values: Sequence[np.ndarray]) -> np.ndarray:
    """One box for each image: around all its objects, or around the whole image if it has none.

    Args:
        values: for each image (4 * boxes,) float32: ymin, xmin, ymax, xmax of each box.

    Returns:
        (N, 4) float64.
    """
    found = np.tile([0.0, 0.0, 1.0, 1.0], (len(values), 1))
    for row, numbers in enumerate(values):
        if len(numbers):
            corners = numbers.reshape(-1, 4)
            found[row] = *corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)
    return found
