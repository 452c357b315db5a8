"""Splits in the notation of TFDS, for the data sets that are not TFDS's own.

Such a data set is a dict from split names to functions that open them.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from and_tf.data.sources.source import EncodedSource, Source
from and_tf.data.sources.tfds_prepare import import_tfds


def open_split(openers: dict[str, Callable[[], Source]], split: str, spec: str) -> Source:
    """Opens a split in TFDS notation, made of the splits that `openers` names."""
    if split in openers:
        return openers[split]()
    named = [part.partition("[")[0].strip() for part in split.split("+")]
    if split == "all":
        named = list(openers)
    if unknown := [name for name in named if name not in openers]:
        raise _split_error(split, spec, openers, f"there is no split {unknown[0]!r}")
    sources = {name: openers[name]() for name in dict.fromkeys(named)}
    lengths = {name: len(source) for name, source in sources.items()}
    ranges = split_ranges(split, spec, lengths, openers)
    rows: dict[str, list[np.ndarray]] = {}
    for name, start, stop in ranges:
        rows.setdefault(name, []).append(np.arange(start, stop))
    parts = [sources[name].take(np.concatenate(pieces)) for name, pieces in rows.items()]
    return functools.reduce(_joined, parts)


def split_ranges(
    split: str, spec: str, lengths: dict[str, int], available: Iterable[str]
) -> list[tuple[str, int, int]]:
    """Parts of a split in TFDS notation, as (name, start, stop)."""
    if split in lengths:
        return [(split, 0, lengths[split])]
    tfds = import_tfds()
    infos = {
        name: tfds.core.SplitInfo(
            name=name, shard_lengths=[length], num_bytes=0, filename_template=None
        )
        for name, length in lengths.items()
    }
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(infos)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1].rstrip(".")
        raise _split_error(split, spec, available, reason) from error
    ranges = []
    for part in parts:
        stop = lengths[part.splitname] if part.to is None else part.to
        ranges.append((part.splitname, part.from_ or 0, stop))
    if all(start >= stop for _, start, stop in ranges):
        raise _split_error(split, spec, available, "it holds no image")
    return ranges


def _split_error(split: str, spec: str, available: Iterable[str], reason: str) -> ValueError:
    return ValueError(
        f"Cannot open split {split!r} of --data={spec}: {reason}. "
        f"Available: {', '.join(available)}, and parts of them such as train[:5000] or train[10%:]."
    )


def _joined(first: Source, second: Source) -> Source:
    notes = {
        "labels": _concatenated(first.labels, second.labels),
        "names": None if first.names is None else first.names + second.names,
    }
    if notes["labels"] is None:
        notes["class_names"] = None
    if isinstance(first, EncodedSource):
        sizes = _concatenated(first.sizes, second.sizes)
        return replace(first, items=first.items + second.items, sizes=sizes, **notes)
    if first.images.shape[1:] != second.images.shape[1:]:
        raise ValueError(
            "Splits can be joined if their images have one size. Received "
            f"{first.images.shape[1:]} in {first.name} and {second.images.shape[1:]} in "
            f"{second.name}."
        )
    return replace(first, images=_concatenated(first.images, second.images), **notes)


def _concatenated(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else np.concatenate([first, second])
