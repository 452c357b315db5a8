"""The files that a table was made from, and how a later update sees which have changed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.data.sources.items import holds_paths
from and_tf.data.sources.source import EncodedSource, Source
from and_tf.data.workers import thread_pool

FILE_COLUMNS = ("file_size", "file_mtime", "file_checksum")


class Files(NamedTuple):
    """The files of N images, in the order of the images.

    Attributes:
        paths: N paths.
        sizes: (N,) int64, bytes.
        mtimes: (N,) int64, time of the last change in nanoseconds.
        checksums: (N,) int64, CRC-32 of the content; None if reading all would take minutes.
    """

    paths: list[str]
    sizes: np.ndarray
    mtimes: np.ndarray
    checksums: np.ndarray | None


def files_of(source: Source) -> Files | None:
    """The files of a source's images, as they are now; None if the images are not files."""
    paths = paths_of(source)
    if not isinstance(source, EncodedSource) or not paths:
        return None
    mtimes = thread_pool().map(lambda path: os.stat(path).st_mtime_ns, paths)
    checksums = None if source.checksums is None else source.checksums.astype(np.int64)
    return Files(paths, source.sizes, np.fromiter(mtimes, np.int64, len(paths)), checksums)


def paths_of(source: Source) -> list[str]:
    """Paths of a source's images; empty if they are not files."""
    if isinstance(source, EncodedSource) and holds_paths(source.items):
        return [str(path) for path in source.items]
    return []


def read_checksums(paths: Sequence[str]) -> np.ndarray:
    """(n,) int64, CRC-32 of the content of files."""
    found = np.empty(len(paths), np.int64)
    with progress_bar(len(paths), "reading checksums") as bar:
        for row, value in enumerate(thread_pool().map(_checksum, paths)):
            found[row] = value
            bar.update()
    return found


def _checksum(path: str) -> int:
    return zlib.crc32(Path(path).read_bytes())


def with_checksums(files: Files | None) -> Files | None:
    """The files with their checksums, which are read if they are not known yet."""
    if files is None or files.checksums is not None:
        return files
    return files._replace(checksums=read_checksums(files.paths))


def file_columns(files: Files | None) -> dict[str, np.ndarray]:
    """Columns of a table; none for images that are not files."""
    files = with_checksums(files)
    if files is None:
        return {}
    values: tuple[Any, ...] = (files.sizes, files.mtimes, files.checksums)
    return dict(zip(FILE_COLUMNS, values, strict=True))
