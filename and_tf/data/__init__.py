"""Images: data sets with random access, the training augmentation and the pipeline."""

from typing import TYPE_CHECKING

from and_tf import lazy_attributes

if TYPE_CHECKING:
    from and_tf.data.cache import cached
    from and_tf.data.pipeline import train_pipeline
    from and_tf.data.settings import AugmentationSettings, DataSettings
    from and_tf.data.sources.arrays import ArraySource, array_source
    from and_tf.data.sources.encoded import EncodedSource
    from and_tf.data.sources.opening import (
        absolute_spec,
        available_splits,
        open_source,
        open_train_and_held_out,
    )
    from and_tf.data.statistics import channel_statistics

_HOMES = {
    "ArraySource": "sources.arrays",
    "AugmentationSettings": "settings",
    "DataSettings": "settings",
    "EncodedSource": "sources.encoded",
    "absolute_spec": "sources.opening",
    "array_source": "sources.arrays",
    "available_splits": "sources.opening",
    "cached": "cache",
    "channel_statistics": "statistics",
    "open_source": "sources.opening",
    "open_train_and_held_out": "sources.opening",
    "train_pipeline": "pipeline",
}

__all__ = [
    "ArraySource",
    "AugmentationSettings",
    "DataSettings",
    "EncodedSource",
    "absolute_spec",
    "array_source",
    "available_splits",
    "cached",
    "channel_statistics",
    "open_source",
    "open_train_and_held_out",
    "train_pipeline",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
