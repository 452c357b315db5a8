"""The images of an evaluation, references and queries, refused if they do not fit the run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from and_tf.data.decode import header_shape
from and_tf.data.settings import DataSettings
from and_tf.data.sources import opening
from and_tf.data.sources.class_folders import folders_of_classes
from and_tf.data.sources.items import holds_paths
from and_tf.data.sources.opening import Opened
from and_tf.data.sources.source import ArraySource
from and_tf.data.subsets import evenly_spaced, has_labels
from and_tf.errors import Argument, UserError
from and_tf.evaluation.protocols import Protocol

SAMPLED_SIZES = 64  # images of a TFDS set whose size is read


@dataclass
class EvaluationImages:
    """The images that an evaluation compares.

    Attributes:
        reference: source of the images that the classifier knows.
        queries: source of the images to classify; the references themselves if there are no others.
        class_names: a name for each label, which are consecutive; empty without labels.
        same: whether the queries are the reference images.
        remarks: sentences for the user.
    """

    reference: Opened
    queries: Opened
    class_names: list[str]
    same: bool
    remarks: list[str] = field(default_factory=list)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int32, of the reference images, -1 where unknown."""
        return _labels(self.reference)

    @property
    def query_labels(self) -> np.ndarray:
        """(Q,) int32, of the queries, -1 where unknown."""
        return _labels(self.queries)


def _labels(source: Opened) -> np.ndarray:
    return np.full(len(source), -1, np.int32) if source.labels is None else source.labels


def open_images(
    data: DataSettings,
    of_run: DataSettings,
    protocol: Protocol,
    known: Mapping[str, Any] | None = None,
) -> EvaluationImages:
    """Opens reference and query images.

    Args:
        data: the images to compare.
        of_run: the images that the run was trained on.
        protocol: determines whether labels are required, and images besides the reference images.
        known: the run's metadata, which identify the images that it began with.

    Raises:
        UserError: if a source cannot be opened, its arrays differ in size from those of the run,
            labels or images to classify are missing that the protocol needs, or a class of the
            queries, or a class folder, has no reference image.
    """
    is_of_run = data.data == of_run.data
    if is_of_run:
        reference, queries = opening.open_images_of_run(data, known)
    else:
        reference, queries = opening.open_train_and_held_out(data)
    if protocol.needs_labels:
        _check_labels([s for s in (reference, queries) if s is not None], data.labels)
    if queries is None and protocol.needs_queries:
        raise UserError(
            f"{data.data} has no split to classify besides {data.train_split}: name one with ",
            Argument("eval_split"), " or ", Argument("eval_data"), ".",
        )  # fmt: skip
    queries = reference if queries is None else queries
    expected = None if is_of_run else _size_of_run(of_run, data.data_dir)
    _check_sizes([reference, queries], expected)
    same = queries.fingerprint == reference.fingerprint
    images = EvaluationImages(reference, queries, [], same)
    return _with_consecutive_labels(images) if protocol.needs_labels else images


def _check_labels(sources: list[Opened], labels: str) -> None:
    """Refuses images without labels, and says how to get them."""
    for source in sources:
        if has_labels(source.labels):
            continue
        remedy: list[object] = ["put the images of each class into a sub-folder"]
        if labels == "none":
            remedy += [" and pass ", Argument("labels", "folders")]
        raise UserError(
            f"{source.name} has no labels, so there is no accuracy to measure: ", *remedy,
            ", or name other images with ", Argument("eval_data"), " and ", Argument("data"),
            ". Without labels there is ", Argument("classifier", "clusters"), ".",
        )  # fmt: skip


def _check_sizes(sources: list[Opened], expected: tuple[int, int] | None) -> None:
    """Refuses arrays whose size differs from the run's: resized, they would look different."""
    expected = expected or array_size(sources[0])
    for source in sources:
        found = array_size(source)
        if found and expected and found != expected:
            raise UserError(
                f"{source.name} holds images of {found[0]}x{found[1]} pixels, and the run was "
                f"trained on images of {expected[0]}x{expected[1]}: resize them to that, or pass "
                "them as a folder of files, whose images are resized."
            )


def _size_of_run(of_run: DataSettings, data_dir: str) -> tuple[int, int] | None:
    """Size of the run's own training images; None if they are files, of several sizes or gone."""
    if of_run.data.startswith(("folder:", "list:")):
        return None
    try:
        first = opening.available_splits(of_run.data, data_dir or None)[0]
        return array_size(opening.open_source(of_run.data, f"{first}[:1]", data_dir or None))
    except UserError:  # they are gone, or cannot be read
        return None


def array_size(source: Opened) -> tuple[int, int] | None:
    """(height, width) of all images of an array or TFDS set; None for files and mixed sizes."""
    if isinstance(source, ArraySource):
        return source.images.shape[1], source.images.shape[2]
    if holds_paths(source.items):
        return None
    sizes = set()
    for index in evenly_spaced(len(source), SAMPLED_SIZES):
        sizes.add(header_shape(source.items[index]))
    return sizes.pop() if len(sizes) == 1 else None


def _with_consecutive_labels(images: EvaluationImages) -> EvaluationImages:
    """Renumbers labels, also of the queries, to 0..C - 1 for the reference images' C classes."""
    reference, queries = images.reference, images.queries
    classes = np.unique(images.labels[images.labels >= 0])  # (C,)
    _check_class_folders(reference, classes)
    unknown = np.setdiff1d(images.query_labels[images.query_labels >= 0], classes)
    if len(unknown):
        raise UserError(
            f"{queries.name} holds the class {_class_name(queries, unknown[0])!r}, of which "
            f"{reference.name} has no image: add some, take a larger ", Argument("train_split"),
            ", or leave that class out of the images to classify.",
        )  # fmt: skip
    names = [_class_name(reference, label) for label in classes]
    remarks = []
    if missing := sorted(set(reference.class_names or names) - set(names)):
        remarks.append(f"No image shows {len(missing)} named class(es), the first: {missing[0]!r}.")
    reference, queries = (_renumber(source, classes) for source in (reference, queries))
    return replace(images, reference=reference, queries=queries, class_names=names, remarks=remarks)


def _check_class_folders(reference: Opened, classes: np.ndarray) -> None:
    """Refuses a class folder without images: the class would be missing silently."""
    if reference.name.startswith("list:"):  # a list may leave classes out on purpose
        return
    if isinstance(reference, ArraySource) or not reference.class_names or not reference.names:
        return
    if not holds_paths(reference.items):
        return
    root = str(reference.items[0])[: -len(reference.names[0])]
    filled = {reference.class_names[label] for label in classes}
    empty = sorted(folders_of_classes(root) - filled)
    if empty:
        raise UserError(
            f"The class {empty[0]!r} is empty: {os.path.join(root, empty[0])} gives no image to "
            f"{reference.name}. Add some, take a larger ", Argument("train_split"),
            ", or remove the folder.",
        )  # fmt: skip


def _renumber(source: Opened, classes: np.ndarray) -> Opened:
    labels = _labels(source)
    labels = np.where(labels >= 0, np.searchsorted(classes, labels), -1)
    return replace(source, labels=labels.astype(np.int32))


def _class_name(source: Opened, label: int) -> str:
    return source.class_names[label] if source.class_names else str(label)
