"""Data sets by name: `digits`, `tfds:NAME`, `folder:PATH`, `npz:PATH` or `mat:PATH`."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from and_tf.data.sources.array_files import digits_splits, mat_splits, npz_splits
from and_tf.data.sources.folder import folder_splits
from and_tf.data.sources.source import Source
from and_tf.data.sources.tfds import open_tfds
from and_tf.data.sources.tfds_prepare import tfds_builder
from and_tf.data.splits import open_split

SPECS = "digits, tfds:NAME, folder:PATH, npz:PATH, mat:PATH"


def open_source(
    spec: str,
    split: str = "train",
    data_dir: str | Path | None = None,
    labels: str = "folders",
    skip_broken: bool = False,
) -> Source:
    """Opens a data set.

    Args:
        spec: `digits`, `tfds:NAME`, `folder:PATH`, `npz:PATH` or `mat:PATH`.
        split: in TFDS notation, such as `train`, `test`, `train[:5000]`, `train[10%:]` or
            `train[:10]+train[20:]`, whatever the data set.
        data_dir: where TFDS keeps its data sets; None for its own default.
        labels: `folders`, or `none` to leave out all labels. The label of an image in a folder is
            the first part of its path, if every image lies in a sub-folder.
        skip_broken: leave out the images of a folder that cannot be decoded, rather than refuse.

    Returns:
        The source of the split's images.

    Raises:
        ValueError, FileNotFoundError: the data set or the split does not exist or is damaged.
    """
    if labels not in ("folders", "none"):
        raise ValueError(f"labels must be folders or none. Received labels={labels!r}.")
    kind, path = _parse(spec)
    if kind == "tfds":
        source = open_tfds(path, split, data_dir)
    else:
        source = open_split(_split_openers(kind, path, labels, skip_broken), split, spec)
    source = replace(source, name=f"{spec} {split}")
    return replace(source, labels=None, class_names=None) if labels == "none" else source


def available_splits(spec: str, data_dir: str | Path | None = None) -> list[str]:
    """Names of a data set's splits, such as ["train", "test"]; decodes nothing.

    Arguments and errors are those of `open_source`.
    """
    kind, path = _parse(spec)
    if kind == "tfds":
        return list(tfds_builder(path, data_dir).info.splits)
    return list(_split_openers(kind, path, labels="none", skip_broken=False))


def open_train_and_held_out(
    data: str,
    train_split: str = "train",
    eval_split: str = "",
    eval_data: str = "",
    data_dir: str | Path | None = None,
    labels: str = "folders",
    skip_broken: bool = False,
) -> tuple[Source, Source | None]:
    """Opens the images to train on and those held out, with the same classes.

    Args:
        data: data set to train on, as in `open_source`.
        train_split: split of `data` to train on.
        eval_split: split that is held out. Empty: validation, else test, where there is one; of
            a data set of its own the first split, if it has neither.
        eval_data: data set of the held-out images; empty for `data`.
        data_dir: where TFDS keeps its data sets; None or empty for its own default.
        labels: as in `open_source`.
        skip_broken: as in `open_source`.

    Returns:
        The training source, and the held-out one: None if nothing names or holds one.

    Raises:
        ValueError, FileNotFoundError: a source cannot be opened, or the held-out images have a
            class that the training images lack.
    """
    options = (data_dir or None, labels, skip_broken)
    train = open_source(data, train_split, *options)
    eval_split = eval_split or _default_eval_split(data, eval_data, data_dir or None)
    if not eval_split:
        return train, None
    held_out = open_source(eval_data or data, eval_split, *options)
    return train, _with_classes_of(train, held_out) if eval_data else held_out


def _default_eval_split(data: str, eval_data: str, data_dir: str | Path | None) -> str:
    available = available_splits(eval_data or data, data_dir)
    for split in ("validation", "test"):
        if split in available:
            return split
    return available[0] if eval_data else ""


def _with_classes_of(train: Source, held_out: Source) -> Source:
    """Held-out labels that mean what those of training mean, where both name their classes."""
    known = train.class_names
    if not known or not held_out.class_names or held_out.class_names == known:
        return held_out
    ids = {}
    for label in np.unique(held_out.labels[held_out.labels >= 0]):
        class_name = held_out.class_names[label]
        if class_name not in known:
            raise ValueError(
                f"{held_out.name} holds the class {class_name!r}, which {train.name} does not: "
                "rename or remove it, or pass --labels=none."
            )
        ids[label] = known.index(class_name)
    mapped = [ids.get(label, -1) for label in held_out.labels]
    return replace(held_out, labels=np.array(mapped, np.int32), class_names=known)


def _parse(spec: str) -> tuple[str, str]:
    kind, _, path = spec.partition(":")
    if kind == "digits" and not path:
        return kind, path
    if kind not in ("tfds", "folder", "npz", "mat") or not path:
        raise ValueError(f"Unknown data set: --data={spec}. Accepted: {SPECS}.")
    return kind, path if kind == "tfds" else os.path.expanduser(path)


def _split_openers(
    kind: str, path: str, labels: str, skip_broken: bool
) -> dict[str, Callable[[], Source]]:
    if kind == "digits":
        return digits_splits()
    if kind == "npz":
        return npz_splits(path)
    if kind == "mat":
        return mat_splits(path)
    return folder_splits(path, labels, skip_broken)
