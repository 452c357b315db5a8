"""Checks of zip archives from untrusted sources, such as .npz and .keras files."""

import math
import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

ALWAYS_BYTES = 1 << 30  # an archive may always unpack to this, however small it is
HIGHEST_RATIO = 20  # file names compress to a tenth, arrays hardly at all
WEIGHTS = "model.weights."  # how the names of Keras's weight files begin
TEXT_BYTES = 64 << 20  # of a text in an archive; a network's layers take far below 1 MB


def check_size(path: Path, most_bytes: int) -> None:
    """Refuses a file that is larger than any valid one.

    Raises:
        ValueError: if it is.
        OSError: if it does not exist.
    """
    if path.stat().st_size > most_bytes:
        raise ValueError(f"it has more than {most_bytes >> 20:,} MB")


def check_unpacked_size(path: Path, always_bytes: int = ALWAYS_BYTES) -> None:
    """Refuses an archive that would take far more memory than its size suggests.

    Args:
        path: of the archive.
        always_bytes: how much it may unpack to in any case.

    Raises:
        ValueError: if it does.
        OSError, zipfile.BadZipFile: if it cannot be read.
    """
    if path.exists() and not path.is_file():  # reading a pipe would hang
        raise ValueError("it is not a regular file")
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(always_bytes, HIGHEST_RATIO * path.stat().st_size):
        raise ValueError(f"it unpacks to {unpacked / 1e9:,.1f} GB")


def most_unpacked_bytes(path: Path) -> int:
    """Unpacked size of an archive, at most what is ever read; the file's size if it is none."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return size
    return min(unpacked, max(ALWAYS_BYTES, HIGHEST_RATIO * size))


def check_arrays(path: Path, always_bytes: int = ALWAYS_BYTES) -> None:
    """Refuses an .npz file that needs far more memory than its size suggests, or claims to.

    Args:
        path: of the file.
        always_bytes: as in `check_unpacked_size`.

    Raises:
        ValueError: if it does, or an array is shorter than its header says.
        OSError, zipfile.BadZipFile: if it cannot be read.
    """
    check_unpacked_size(path, always_bytes)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            with archive.open(member) as file:
                told = _told_bytes(file)
            if told is not None and told > member.file_size:
                name = member.filename.removesuffix(".npy")
                raise ValueError(f"{name} claims {told / 1e9:,.1f} GB, which it does not hold")


def _told_bytes(file: IO[bytes]) -> int | None:
    """The size in bytes according to an array's header; None for an unknown format."""
    version = np.lib.format.read_magic(file)
    heads = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in heads:
        return None
    shape, _, dtype = heads[version](file)
    return None if dtype.hasobject else math.prod(shape) * dtype.itemsize  # pickles are not read


def memory_bytes() -> int:
    """Bytes of this machine's memory; `ALWAYS_BYTES` if the system does not report them."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return ALWAYS_BYTES


def check_keras_archive(path: Path) -> int:
    """Refuses a .keras file whose texts, above all the network's layers, are excessively large.

    Keras reads and parses them whole, which takes a multiple of their size.

    Returns:
        Bytes of its weights.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: as in `check_unpacked_size`; if a text is too
            large.
    """
    check_unpacked_size(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename.endswith(".json") and member.file_size > TEXT_BYTES:
                raise ValueError(f"{member.filename} unpacks to {member.file_size / 1e6:,.0f} MB")
        return sum(m.file_size for m in archive.infolist() if m.filename.startswith(WEIGHTS))
