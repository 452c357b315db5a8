"""Labels of a collection: the class folders of its images."""

import dataclasses

from and_tf.data.sources.class_folders import class_ids, class_names
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.splits import SYNONYMS

SPLIT_NAMES = {name for names in SYNONYMS.values() for name in names} | set(SYNONYMS)


def with_folder_labels(source: EncodedSource) -> EncodedSource:
    """The source with the class folder of each image as its label, if all images are in one.

    The class is the first folder below the collection, or the second if the first has the name of
    a split: train, validation or test.

    Args:
        source: images with relative paths as names, without labels.

    Returns:
        The source, unchanged if an image is outside of class folders or all are in the same one.
    """
    names = [_below_split(name) for name in source.names or []]
    classes = class_names(names)
    if classes is None or len(classes) < 2:
        return source
    return dataclasses.replace(source, labels=class_ids(names, classes), class_names=classes)


def _below_split(name: str) -> str:
    first, _, rest = name.partition("/")
    return rest if rest and first.lower() in SPLIT_NAMES else name
