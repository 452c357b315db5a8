"""Labels of a collection: the class folders that its images lie in."""

import dataclasses

import numpy as np

from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.splits import SYNONYMS

SPLIT_NAMES = {name for names in SYNONYMS.values() for name in names} | set(SYNONYMS)


def with_folder_labels(source: EncodedSource) -> EncodedSource:
    """The source with the class folder of each image as its label, where all images lie in one.

    The class is the first folder below the collection, or the second where the first is called
    like a split: train, validation or test.

    Args:
        source: images with relative paths as names, without labels.

    Returns:
        The source, unchanged where an image lies outside of class folders or all lie in one.
    """
    classes = [_class_name(name) for name in source.names or []]
    class_names = sorted({name for name in classes if name is not None})
    if None in classes or len(class_names) < 2:
        return source
    ids = {name: number for number, name in enumerate(class_names)}
    labels = np.array([ids[name] for name in classes if name is not None], np.int32)
    return dataclasses.replace(source, labels=labels, class_names=class_names)


def _class_name(name: str) -> str | None:
    folders = name.split("/")[:-1]
    if folders and folders[0].lower() in SPLIT_NAMES:
        folders = folders[1:]
    return folders[0] if folders else None
