"""Checks that several processes see the same files, even if each has its own disk."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.data.exchange import Sharing, gathered
from and_tf.errors import UserError


def check_same_files(
    folder: Path, names: Sequence[str], sizes: np.ndarray, sharing: Sharing
) -> None:
    """Checks that all processes see files of the same names and sizes, in the same order.

    Raises:
        UserError: on all processes, if they do not; names the first file that differs, as seen
            here.
    """
    counts = _of_each(sharing, len(names))  # (R,)
    common = int(counts.min())
    own = np.fromiter(map(_checksum, names[:common], sizes[:common]), np.int64, common)
    of_first = sharing.total(own if sharing.number == 0 else np.zeros_like(own))
    differing = np.flatnonzero(own != of_first)
    place = int(differing[0]) if len(differing) else common
    places = _of_each(sharing, place)  # (R,) the first that differs, or that one of two lacks
    if (places == common).all() and (counts == counts[0]).all():
        return
    other = int(np.flatnonzero((places < common) | (counts != counts[0]))[0])
    place = int(places[other])
    here = f"{names[place]} ({sizes[place]:,} bytes)" if place < len(names) else "missing"
    raise UserError(
        f"The images differ between the training processes: {counts[0]:,} on the chief, "
        f"{counts[other]:,} on process {other}; the first that differs, number {place + 1} in "
        f"{folder}, is {here} on this machine. Give all processes the same images."
    )


def _checksum(name: str, size: int) -> int:
    return zlib.crc32(f"{size} ".encode() + os.fsencode(name))


def _of_each(sharing: Sharing, number: int) -> np.ndarray:
    """(R,) int64: the number that each process passes."""
    numbers = np.zeros(sharing.size, np.int64)
    numbers[sharing.number] = number
    return sharing.total(numbers)


def merged(sharing: Sharing, own: dict[str, Any]) -> dict[str, Any]:
    """Merges dictionaries of all processes, on all of them; values must be JSON."""
    content = np.frombuffer(json.dumps(own).encode(), np.uint8)
    sizes = _of_each(sharing, len(content))
    ends = np.cumsum(sizes)
    start = int(ends[sharing.number] - sizes[sharing.number])
    everything = gathered(sharing, content, start, int(ends[-1])).tobytes()
    parts = (everything[end - size : end] for end, size in zip(ends, sizes, strict=True))
    return {key: value for part in parts for key, value in json.loads(part).items()}
