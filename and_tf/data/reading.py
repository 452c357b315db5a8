"""Bytes of files, read by descriptor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[int]:
    """A descriptor to read a file by; opening a pipe does not wait for its other end."""
    descriptor = os.open(path, _FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_bytes(descriptor: int, size: int, offset: int = 0) -> bytes:
    """Up to `size` bytes from a place on: fewer only where the file ends before."""
    content = os.pread(descriptor, size, offset)
    if len(content) in (0, size):
        return content
    parts = [content]
    while content and (missing := size - sum(map(len, parts))):  # a signal, or a network disk
        content = os.pread(descriptor, missing, offset + size - missing)
        parts.append(content)
    return b"".join(parts)
