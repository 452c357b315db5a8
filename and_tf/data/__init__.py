"""Images: data sets with random access, the training augmentation and the pipeline."""

from and_tf.data.augmentation.augment import Augmentation
from and_tf.data.passes import cached, channel_statistics
from and_tf.data.pipeline import train_pipeline
from and_tf.data.sources.opening import available_splits, open_source, open_train_and_held_out
from and_tf.data.sources.source import ArraySource, EncodedSource, array_source

__all__ = [
    "ArraySource",
    "Augmentation",
    "EncodedSource",
    "array_source",
    "available_splits",
    "cached",
    "channel_statistics",
    "open_source",
    "open_train_and_held_out",
    "train_pipeline",
]
