"""Limits the pixels that all threads together decode at a time to what a single image may have.

A thread that comes to a large image waits until there is room for it, and threads that come later
wait behind it. Memory is thus bounded for any number of threads, and images of ordinary size are
not held up: about ten of 16 megapixels fit at once.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator

from and_tf.data.large_images import most_pixels

_turn = threading.Lock()  # held by the next in line, so that small images do not starve a large one
_changed = threading.Condition()
_in_flight = 0
_largest: float = math.inf


@contextlib.contextmanager
def pixels_in_flight() -> Iterator[Callable[[int], None]]:
    """A context in which one image is decoded and used; its pixels count until the end.

    Yields:
        A function that waits until a given number of pixels may be decoded. Another call first
        releases those of the previous one.
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
    """Makes this process, one of several, refuse larger images and leave them to its parent.

    The parent counts the pixels that it decodes, so there large images are decoded one at a time.
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
