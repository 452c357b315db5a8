"""Images: data sets with random access, the training augmentation and the pipeline."""

from typing import TYPE_CHECKING

from and_tf import lazy_attributes

if TYPE_CHECKING:
    from and_tf.data.passes import cached, channel_statistics
    from and_tf.data.pipeline import train_pipeline
    from and_tf.data.settings import AugmentationSettings, DataSettings
    from and_tf.data.sources.opening import (
        available_splits,
        open_source,
        open_train_and_held_out,
    )
    from and_tf.data.sources.source import ArraySource, EncodedSource, array_source

_HOMES = {
    "ArraySource": "sources.source",
    "AugmentationSettings": "settings",
    "DataSettings": "settings",
    "EncodedSource": "sources.source",
    "array_source": "sources.source",
    "available_splits": "sources.opening",
    "cached": "passes",
    "channel_statistics": "passes",
    "open_source": "sources.opening",
    "open_train_and_held_out": "sources.opening",
    "train_pipeline": "pipeline",
}

__all__ = [
    "ArraySource",
    "AugmentationSettings",
    "DataSettings",
    "EncodedSource",
    "array_source",
    "available_splits",
    "cached",
    "channel_statistics",
    "open_source",
    "open_train_and_held_out",
    "train_pipeline",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
