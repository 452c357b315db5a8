"""Data sets by name, such as `digits`, `tfds:NAME` or `folder:PATH`: the keys of `SOURCES`."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.large_images import limit_megapixels
from and_tf.data.settings import LABELS, DataSettings
from and_tf.data.sources import SOURCES, accepted_specs
from and_tf.data.sources.arrays import ArraySource
from and_tf.data.sources.former import as_begun, with_hard_links
from and_tf.data.splits import HELD_OUT, Opened, SourceOptions, Splits, known_as, unknown_class
from and_tf.errors import Argument, NoBoxes, NotFound, UserError


def open_source(
    spec: str,
    split: str = "train",
    data_dir: str | Path | None = None,
    labels: str = "folders",
    skip_broken: bool = False,
    crop_to_box: bool = False,
    sharing: Sharing = ALONE,
    hard_links: bool = False,
) -> Opened:
    """Opens a data set.

    Args:
        spec: `digits`, `tfds:NAME`, `folder:PATH`, `list:FILE`, `records:PATH` (packed images),
            `npz:PATH` or `mat:PATH`; a path without a kind is a folder.
        split: in TFDS notation, such as `train`, `test`, `train[:5000]`, `train[10%:]` or
            `train[:10]+train[20:]`, for any data set. `stratified_train[:90%]` is a fixed selection
            that holds each class in proportion, and `stratified_train[90%:]` the rest.
        data_dir: where TFDS keeps its data sets; None for its own default.
        labels: `folders`, or `none` to leave out all labels. The label of an image in a folder is
            the first part of its path, if every image lies in a sub-folder.
        skip_broken: leave out the images of a folder or list that cannot be decoded, instead of
            raising an error.
        crop_to_box: crop each image to the bounding box that the data set gives it, before
            anything else.
        sharing: the processes that all open the data set; each checks some of its files.
        hard_links: treat each name of a file in a folder as an image of its own, as earlier
            versions did, instead of taking each file once.

    Returns:
        The source of the split's images.

    Raises:
        UserError: if the data set or the split does not exist or is corrupt; a subclass of it
            where one fits.
    """
    if labels not in LABELS:
        raise UserError(Argument("labels", labels), f" must be one of {', '.join(LABELS)}.")
    options = SourceOptions(data_dir, labels, skip_broken, crop_to_box, sharing, hard_links)
    splits = _open_splits(spec, options)
    source = replace(splits.open(split, spec), name=f"{spec} {split}")
    return replace(source, labels=None, class_names=None) if labels == "none" else source


def available_splits(spec: str, data_dir: str | Path | None = None) -> list[str]:
    """Names of a data set's splits, such as ["train", "test"]; nothing is decoded.

    Arguments and errors are those of `open_source`.
    """
    return list(_open_splits(spec, SourceOptions(data_dir, labels="none")))


def absolute_spec(spec: str) -> str:
    """The spec with an absolute path, so that it means the same from any folder.

    `~` is expanded, and a path without a kind becomes `folder:PATH`. Specs without a path, such as
    `digits`, stay as they are.
    """
    spec = _with_kind(spec)
    kind, colon, path = spec.partition(":")
    if kind not in SOURCES or not SOURCES[kind].is_path or not path:
        return spec
    return f"{kind}{colon}{os.path.abspath(os.path.expanduser(path))}"


def _with_kind(spec: str) -> str:
    """`folder:PATH` for a path without a kind: a folder that exists, or clearly a path."""
    if spec.partition(":")[0] in SOURCES:
        return spec
    is_path = spec.startswith((".", "~")) or os.path.isabs(spec)
    return f"folder:{spec}" if is_path or os.path.isdir(spec) else spec


def open_train_and_held_out(
    data: DataSettings, sharing: Sharing = ALONE, hard_links: bool = False
) -> tuple[Opened, Opened | None]:
    """Opens the images to train on and those held out, with the same classes.

    Args:
        data: the images. Without `eval_split` the split held out is validation, else test, if there
            is one, else the first split of `eval_data` if that is given.
        sharing, hard_links: as in `open_source`.

    Returns:
        The training source, and the held-out source, or None if there is no such split.

    Raises:
        UserError: if a source cannot be opened, or the held-out images have a class that the
            training images lack.
    """
    limit_megapixels(data.max_image_megapixels)
    options = (
        *(data.data_dir or None, data.labels, data.skip_broken, data.crop_to_box),
        *(sharing, hard_links),
    )
    train = replace(open_source(data.data, data.train_split, *options), eval_crop=data.eval_crop)
    try:
        eval_split = data.eval_split or _default_eval_split(data)
        if not eval_split:
            return train, None
        held_out = open_source(data.eval_data or data.data, eval_split, *options)
        held_out = replace(held_out, eval_crop=data.eval_crop)
    except UserError as error:
        if not data.eval_data:
            raise
        raise error.renamed({"data": "eval_data"}) from error
    return train, _with_classes_of(train, held_out) if data.eval_data else held_out


def open_images_of_run(
    data: DataSettings, known: Mapping[str, Any] | None = None, sharing: Sharing = ALONE
) -> tuple[Opened, Opened | None]:
    """`open_train_and_held_out` for a run that has begun, whose images may have moved since.

    Args:
        data: the images.
        known: the run's metadata with the fingerprints of the images that it began with. If given,
            files of kinds that were not read then are left out, and hard links are images of their
            own if they were then.
        sharing: as in `open_source`.

    Raises:
        NotFound: if their path does not exist; says how to name another one.
    """
    kind, _, path = absolute_spec(data.data).partition(":")
    if kind in SOURCES and SOURCES[kind].is_path and not os.path.exists(path):
        raise NotFound(
            f"{path} does not exist, where the run had its images: if they were moved, name their "
            "new place with ", Argument("data"), ".",
        )  # fmt: skip
    if not known:
        return open_train_and_held_out(data, sharing)
    begun = known.get("fingerprint"), known.get("held_out_fingerprint")

    def reopen() -> tuple[Opened, Opened | None]:
        return _as_begun(open_train_and_held_out(data, sharing, hard_links=True), begun)

    try:
        found = _as_begun(open_train_and_held_out(data, sharing), begun)
    except NotFound:  # a part of a split that is empty if hard links do not count
        return reopen()
    return with_hard_links(found, begun, reopen)


def _as_begun(
    found: tuple[Opened, Opened | None], begun: tuple[str | None, str | None]
) -> tuple[Opened, Opened | None]:
    train, held_out = found
    return as_begun(train, begun[0]), held_out and as_begun(held_out, begun[1])


def _default_eval_split(data: DataSettings) -> str:
    available = available_splits(data.eval_data or data.data, data.data_dir or None)
    for name in HELD_OUT:
        if split := known_as(name, available):
            return split
    return available[0] if data.eval_data else ""


def _with_classes_of(train: Opened, held_out: Opened) -> Opened:
    """Maps held-out labels to the training classes, if both sides have class names."""
    known, names, labels = train.class_names, held_out.class_names, held_out.labels
    if not known or not names or names == known or labels is None:
        return held_out
    known_ids = {key: number for number, key in enumerate(_keys(known, names))}
    keys, ids = _keys(names, known), {}
    for label in np.unique(labels[labels >= 0]).tolist():
        if keys[label] not in known_ids:
            raise unknown_class(held_out.name, names[label], train.name)
        ids[label] = known_ids[keys[label]]
    mapped = [ids.get(label, -1) for label in labels.tolist()]
    found = replace(held_out, labels=np.array(mapped, np.int32), class_names=known)
    if isinstance(found, ArraySource):
        return replace(found, class_ids=getattr(train, "class_ids", None))
    return found


def _keys(class_names: list[str], others: list[str]) -> Sequence[Hashable]:
    """What classes are matched by: names, or numbers if the other side's names are not alike."""
    if _are_numbers(class_names) == _are_numbers(others):
        return class_names
    if _are_numbers(class_names):
        return [int(name) for name in class_names]
    return range(len(class_names))


def _are_numbers(class_names: list[str]) -> bool:
    return all(name.isdecimal() for name in class_names)


def _open_splits(spec: str, options: SourceOptions) -> Splits:
    name, _, path = _with_kind(spec).partition(":")
    kind = SOURCES.get(name)
    if kind is None or bool(path) != bool(kind.argument):
        raise UserError(
            "Unknown data set: ", Argument("data", spec), f". Accepted: {accepted_specs()}, or the "
            "path of a folder.",
        )  # fmt: skip
    if options.crop_to_box and not kind.may_have_boxes:
        kinds = " or ".join(f"{name}:" for name, kind in SOURCES.items() if kind.may_have_boxes)
        raise NoBoxes(
            Argument("crop_to_box", True), " needs bounding boxes, which ", Argument("data", spec),
            f" does not have: leave it out, or take a data set of {kinds}.",
        )  # fmt: skip
    if kind.is_path:
        path = os.path.expanduser(path)
    return kind.splits(path, options)
