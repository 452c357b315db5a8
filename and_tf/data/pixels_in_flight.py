"""How many pixels are decoded at a time, by all threads together: no more than one image may have.

A thread that comes to a large image waits until there is room for it, and those that come later
wait behind it. So memory is bounded however many threads there are, and nothing of this is noticed
where images are of ordinary size: some ten of 16 megapixels fit beside each other.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator

from and_tf.data.large_images import most_pixels

_turn = threading.Lock()  # of whoever is next: small images must not overtake a large one for ever
_changed = threading.Condition()
_in_flight = 0
_largest: float = math.inf


@contextlib.contextmanager
def pixels_in_flight() -> Iterator[Callable[[int], None]]:
    """Within it an image is decoded and used; its pixels count until the end.

    Yields:
        A function that waits until so many pixels may be decoded. Called again, it gives back what
        it had before.
    """
    held = 0

    def take(pixels: int) -> None:
        nonlocal held
        if pixels > _largest:
            raise ValueError("it is left to another process")
        _add(-held)
        held = 0
        with _turn:
            _wait_for(pixels)
        held = pixels

    try:
        yield take
    finally:
        _add(-held)


def leave_larger(pixels: float) -> None:
    """Has this process, one of several, refuse larger images: the one that began them takes them.

    It counts what it decodes itself, so that large images are decoded one at a time there, too.
    """
    global _largest
    _largest = pixels


def _wait_for(pixels: int) -> None:
    global _in_flight
    with _changed:
        _changed.wait_for(lambda: not _in_flight or _in_flight + pixels <= most_pixels())
        _in_flight += pixels


def _add(pixels: int) -> None:
    global _in_flight
    with _changed:
        _in_flight += pixels
        _changed.notify_all()
