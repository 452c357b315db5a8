"""The splits of a data set by name, and parts of them in TFDS notation."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.stratified import STRATIFIED, report_sorted_part, stratified_order
from and_tf.errors import Argument, BrokenFile, NotFound, UserError

if TYPE_CHECKING:
    from and_tf.data.sources.arrays import ArraySource
    from and_tf.data.sources.encoded import EncodedSource

Opened: TypeAlias = "ArraySource | EncodedSource"

# The names that each split may have, in order of preference.
SYNONYMS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
NAME = r"\w+(?=\s*(?:\[|\+|$))"  # of a split, in TFDS notation
HELD_OUT = ("validation", "test")  # in the order in which they are preferred


def known_as(name: str, available: Iterable[str]) -> str | None:
    """The available split that a name or one of its synonyms stands for; None if there is none."""
    names = [name, *next((group for group in SYNONYMS.values() if name in group), ())]
    return next((other for other in names if other in set(available)), None)


@dataclass(frozen=True)
class SourceOptions:
    """How a data set is opened, besides its path; each kind uses the options that concern it.

    Attributes:
        data_dir: where TFDS keeps its data sets; None for its own default.
        labels: `folders`, or `none` to leave out all labels.
        skip_broken: whether images of a folder or list that cannot be decoded are left out.
        crop_to_box: whether images are cropped to their bounding box before anything else.
        sharing: the processes that all open the data set, and share the work on its files.
        hard_links: for a folder, whether each name of a file is an image of its own.
    """

    data_dir: str | Path | None = None
    labels: str = "folders"
    skip_broken: bool = False
    crop_to_box: bool = False
    sharing: Sharing = ALONE
    hard_links: bool = False


class Splits(dict[str, Callable[[], "Opened"]]):
    """Functions that open the splits of a data set, by split name.

    `stratified_NAME` is the split NAME in an order in which every part holds all classes.
    """

    def open(self, split: str, spec: str) -> Opened:
        """Opens a split in TFDS notation.

        Args:
            split: such as `train`, `train[:5000]`, `train+test` or `stratified_train[:90%]`.
            spec: of the data set, for messages.

        Raises:
            NotFound: if there is no such split, or it holds no image.
        """
        split = known_as(split, self) or split
        if split in self:
            return self[split]()
        split = re.sub(NAME, lambda name: self._known(name[0]), split)
        named = [part.partition("[")[0].strip() for part in split.split("+")]
        if split == "all":
            named = list(self)
        if unknown := [name for name in named if self._whole(name) not in self]:
            raise split_error(split, spec, self, f"there is no split {unknown[0]!r}")
        sources = {name: self[name]() for name in dict.fromkeys(map(self._whole, named))}
        lengths = {name: len(sources[self._whole(name)]) for name in named}
        rows: dict[str, list[np.ndarray]] = {}
        for name, start, stop in split_ranges(split, spec, lengths, self):
            rows.setdefault(name, []).append(np.arange(start, stop))
        parts: list[Any] = []
        for name, pieces in rows.items():
            source, places = sources[self._whole(name)], np.concatenate(pieces)
            if name in self:
                report_sorted_part(source, places, split, spec)
            else:
                places = np.sort(stratified_order(source.labels, len(source))[places])
            parts.append(source.take(places))
        return functools.reduce(lambda first, second: first.join(second), parts)

    def _whole(self, name: str) -> str:
        """The name of the split without a prefix `stratified_`."""
        return name if name in self else name.removeprefix(STRATIFIED)

    def _known(self, name: str) -> str:
        """Replaces synonyms: the name under which its split is available here, if it is."""
        if found := known_as(name, self):
            return found
        found = known_as(name.removeprefix(STRATIFIED), self)
        return STRATIFIED + found if found and name.startswith(STRATIFIED) else name


def split_ranges(
    split: str, spec: str, lengths: Mapping[str, int], available: Iterable[str]
) -> list[tuple[str, int, int]]:
    """Parts of a split in TFDS notation, as (name, start, stop).

    Args:
        split, spec: as in `Splits.open`.
        lengths: number of images of each split that may be named.
        available: all splits, for messages.
    """
    if split in lengths:
        return [(split, 0, lengths[split])]
    from and_tf.data.sources.tfds_prepare import import_tfds

    tfds = import_tfds()
    infos = {
        name: tfds.core.SplitInfo(
            name=name, shard_lengths=[length], num_bytes=0, filename_template=None
        )
        for name, length in lengths.items()
    }
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(infos)
    except Exception as error:  # of many types
        reason = str(error).strip().splitlines()[-1].rstrip(".")
        raise split_error(split, spec, available, reason) from error
    ranges = []
    for part in parts:
        stop = lengths[part.splitname] if part.to is None else part.to
        ranges.append((part.splitname, part.from_ or 0, stop))
    if all(start >= stop for _, start, stop in ranges):
        raise split_error(split, spec, available, "it holds no image")
    return ranges


def split_error(split: str, spec: str, available: Iterable[str], reason: str) -> NotFound:
    """The error for a split that cannot be opened; names those that can."""
    return NotFound(
        f"Cannot open split {split!r} of ",
        Argument("data", spec),
        f": {reason}. Available: {', '.join(available)}, and parts of them such as train[:5000], "
        "train[10%:] or stratified_train[:90%].",
    )


def unknown_class(held_out: object, class_name: str, train: object) -> UserError:
    """The error for a class of held-out images that the images to train on lack."""
    return UserError(
        f"{held_out} holds the class {class_name!r}, which {train} does not: rename or remove it, "
        "or pass ", Argument("labels", "none"), ".",
    )  # fmt: skip


def corrupt(spec: str, error: Exception) -> BrokenFile:
    """The error for a data set whose file cannot be read."""
    reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
    return BrokenFile(
        "Cannot read ", Argument("data", spec), f" ({reason}): write or fetch the file again."
    )
