"""The images of an evaluation, references and queries, refused where they do not fit the run."""

import io
import os
import types
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from and_tf.data.sources import opening
from and_tf.data.sources.source import ArraySource, Source

SAMPLED_SIZES = 64  # images of a TFDS set whose size is read


@dataclass
class EvaluationImages:
    """What an evaluation compares.

    Attributes:
        reference: source of the images that the classifier knows.
        queries: source of the images to classify; the references themselves where there are none.
        class_names: a name for each label, which are consecutive; empty without labels.
        same: whether the queries are the reference images.
        notes: sentences for the user.
    """

    reference: Source
    queries: Source
    class_names: list[str]
    same: bool
    notes: list[str] = field(default_factory=list)


def open_images(options: types.SimpleNamespace, trained: types.SimpleNamespace) -> EvaluationImages:
    """Opens reference and query images, as the run had them where no flag says otherwise.

    Args:
        options: values of `flags.evaluate_flags()`.
        trained: values of the run's own flags.

    Raises:
        ValueError, FileNotFoundError: a source cannot be opened; its arrays have another size than
            those of the run; labels are missing where the protocol needs them; a class of the
            queries, or a class folder, has no reference image.
    """
    changed = vars(trained) | {name: value for name, value in vars(options).items() if value}
    chosen = types.SimpleNamespace(**changed)
    reference, queries = opening.open_train_and_held_out(
        chosen.data,
        chosen.train_split,
        chosen.eval_split,
        chosen.eval_data,
        chosen.data_dir,
        chosen.labels,
        trained.skip_broken,
    )
    if queries is None and options.classifier not in ("retrieval", "clusters"):
        raise ValueError(
            f"{chosen.data} has no split to classify besides {chosen.train_split}: name one by "
            "--eval_split or --eval_data."
        )
    queries = reference if queries is None else queries
    _check_sizes([reference, queries], options, trained, chosen.data_dir)
    same = queries.fingerprint == reference.fingerprint
    images = EvaluationImages(reference, queries, [], same)
    if options.classifier == "clusters":
        return images
    for source in (reference, queries):
        if not has_labels(source):
            raise ValueError(
                f"{source.name} has no labels, which every accuracy needs: put the images of each "
                "class into a sub-folder, or name other images by --eval_data and --data. Without "
                "labels there is --classifier=clusters."
            )
    return _with_consecutive_labels(images)


def has_labels(source: Source) -> bool:
    """Whether any image of a source has a label."""
    return source.labels is not None and bool((source.labels >= 0).any())


def _check_sizes(sources, options, trained, data_dir):
    """Refuses arrays of another size than the run's: resized, they look like none of these."""
    expected = _size_of_run(trained, data_dir) if options.data else None
    expected = expected or array_size(sources[0])
    for source in sources:
        found = array_size(source)
        if found and expected and found != expected:
            raise ValueError(
                f"{source.name} holds images of {found[0]}x{found[1]} pixels, and the run was "
                f"trained on images of {expected[0]}x{expected[1]}: resize them to that, or pass "
                "them as a folder of files, whose images are resized."
            )


def _size_of_run(trained, data_dir):
    """Size of the run's own training images; None where they have several or are gone."""
    if trained.data.startswith("folder:"):
        return None
    try:
        first = opening.available_splits(trained.data, data_dir or None)[0]
        return array_size(opening.open_source(trained.data, f"{first}[:1]", data_dir or None))
    except (ValueError, OSError):
        return None


def array_size(source: Source) -> tuple[int, int] | None:
    """(height, width) of all images of an array or TFDS set; None for files and mixed sizes."""
    if isinstance(source, ArraySource):
        return source.images.shape[1:3]
    if isinstance(source.items[0], str):
        return None
    chosen = np.linspace(0, len(source) - 1, min(len(source), SAMPLED_SIZES)).astype(int)
    sizes = set()
    for index in chosen:
        with Image.open(io.BytesIO(source.items[index])) as image:
            sizes.add(image.size[::-1])
    return sizes.pop() if len(sizes) == 1 else None


def _with_consecutive_labels(images: EvaluationImages) -> EvaluationImages:
    """Labels 0..C - 1 for the C classes of the reference images, the same in the queries."""
    reference, queries = images.reference, images.queries
    classes = np.unique(reference.labels[reference.labels >= 0])  # (C,)
    _check_class_folders(reference, classes)
    unknown = np.setdiff1d(queries.labels[queries.labels >= 0], classes)
    if len(unknown):
        raise ValueError(
            f"{queries.name} holds the class {_class_name(queries, unknown[0])!r}, of which "
            f"{reference.name} has no image: add some, take a larger --train_split, or leave that "
            "class out of the images to classify."
        )
    names = [_class_name(reference, label) for label in classes]
    notes = []
    if missing := sorted(set(reference.class_names or names) - set(names)):
        notes.append(f"No image shows {len(missing)} named class(es), the first: {missing[0]!r}.")
    reference, queries = (_renumbered(source, classes) for source in (reference, queries))
    return replace(images, reference=reference, queries=queries, class_names=names, notes=notes)


def _check_class_folders(reference, classes):
    """Refuses a class folder without an image: the class would be missing without a word."""
    if isinstance(reference, ArraySource) or not reference.class_names or not reference.names:
        return
    root = reference.items[0][: -len(reference.names[0])]
    folders = {entry.name for entry in os.scandir(root) if entry.is_dir()}
    filled = {reference.class_names[label] for label in classes}
    empty = sorted(name for name in folders - filled if not name.startswith("."))
    if empty:
        raise ValueError(
            f"The class {empty[0]!r} is empty: {os.path.join(root, empty[0])} gives no image to "
            f"{reference.name}. Add some, take a larger --train_split, or remove the folder."
        )


def _renumbered(source, classes):
    labels = np.where(source.labels >= 0, np.searchsorted(classes, source.labels), -1)
    return replace(source, labels=labels.astype(np.int32))


def _class_name(source, label):
    return source.class_names[label] if source.class_names else str(label)
