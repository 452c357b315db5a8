"""The bounding boxes of TFDS sets, such as `bbox` of caltech_birds2011."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from and_tf.data.sources.tfds_prepare import import_tfds
from and_tf.errors import Argument, UserError

BOX = "and_tf/box"  # key of a record's box

Key = tuple[str, ...]


def box_key(info: Any) -> Key:
    """Where the records of a set have their box: `bbox`, or `bbox` of each of their objects.

    Raises:
        UserError: if they have none.
    """
    tfds = import_tfds()
    for name, feature in info.features.items():
        if isinstance(feature, tfds.features.BBoxFeature):
            return (name,)
        inner: Any = getattr(feature, "feature", None)  # of a sequence
        for inner_name, inner_feature in inner.items() if hasattr(inner, "items") else ():
            if isinstance(inner_feature, tfds.features.BBoxFeature):
                return (name, inner_name)
    raise UserError(
        Argument("crop_to_box", True), " needs bounding boxes, and ",
        Argument("data", f"tfds:{info.name}"), f" has none, only {', '.join(info.features)}: leave "
        "it out.",
    )  # fmt: skip


def partial_features(key: Key) -> dict[str, Any]:
    """What TFDS's PartialDecoding reads of a record for its box."""
    return {key[0]: True} if len(key) == 1 else {key[0]: {key[1]: True}}


def with_box(key: Key) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that gives a record its box (4,) float32 under `BOX`: of all of its objects."""
    import tensorflow as tf

    def add(record: dict[str, Any]) -> dict[str, Any]:
        box = record[key[0]] if len(key) == 1 else record[key[0]][key[1]]
        corners = tf.reshape(box, (-1, 4))
        low, high = tf.reduce_min(corners[:, :2], axis=0), tf.reduce_max(corners[:, 2:], axis=0)
        whole = tf.constant([0.0, 0.0, 1.0, 1.0])  # of an image without objects
        found = tf.where(tf.shape(corners)[0] > 0, tf.concat([low, high], axis=0), whole)
        return {name: value for name, value in record.items() if name != key[0]} | {BOX: found}

    return add
