"""What a start needs to know about image files, each read once: header, size and checksum.

The checks are kept in the user's cache folder, so that the next start reads only files that are
new or have changed. Results are stored in arrays, since there may be a million files.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.data import check_cache
from and_tf.data.decode import header_shape, load_image, reason
from and_tf.data.decoder_warnings import naming_image
from and_tf.data.exchange import ALONE, Sharing, from_first, gathered
from and_tf.data.file_states import FileStates, file_states, run_through
from and_tf.data.headers import START_BYTES, plain_shape
from and_tf.data.large_images import fault_of_size, most_encoded_bytes, most_pixels
from and_tf.data.partition import share
from and_tf.data.parts import in_parts
from and_tf.data.reading import opened, read_bytes, with_patience
from and_tf.data.same_files import check_same_files, merged
from and_tf.errors import BrokenImage, NotFound, Unreachable, UserError

CHECKED_BYTES = 4 << 30  # larger sets are compared only by names and sizes: reading takes minutes
# In place of a file's time: at the start it was read on another process's disk, not here.
READ_ELSEWHERE = -2


class FileChecks(NamedTuple):
    """Checks of files, in their order.

    Attributes:
        sizes: (N,) int64, bytes.
        mtimes: (N,) int64, time of the last change in nanoseconds; or `READ_ELSEWHERE`.
        checksums: (N,) uint32, CRC-32 of the content; None for sets above `CHECKED_BYTES`.
        shapes: (N, 2) int32, height and width in pixels; 0 where the file is broken.
        reasons: why each file is not a readable image; None where it is.
        files: (N,) int64, the row of the first name of each file, which its hard links share.
    """

    sizes: np.ndarray
    mtimes: np.ndarray
    checksums: np.ndarray | None
    shapes: np.ndarray
    reasons: list[str | None]
    files: np.ndarray

    def take(self, rows: np.ndarray) -> FileChecks:
        """The checks of some files, each its own first name, since that name may be missing."""
        return FileChecks(
            self.sizes[rows],
            self.mtimes[rows],
            None if self.checksums is None else self.checksums[rows],
            self.shapes[rows],
            [self.reasons[row] for row in rows.tolist()],
            np.arange(len(rows)),
        )


class Check(NamedTuple):
    """Check of one file; see `FileChecks`."""

    checksum: int
    shape: tuple[int, int]
    reason: str | None


def check_files(
    folder: Path, names: Sequence[str], decode: bool = False, sharing: Sharing = ALONE
) -> FileChecks:
    """Checks image files; those that the cache does not know are opened in threads.

    Args:
        folder: the folder that holds them.
        names: their paths relative to it.
        decode: whether to decode all pixels; else only the header is read.
        sharing: the processes that see these files; each opens a part of them, and all receive
            all checks.

    Raises:
        UserError: if several processes see different files.
    """
    states = file_states(folder, names)
    if sharing.size > 1:
        check_same_files(folder, names, states.sizes, sharing)
    with_checksum = int(states.sizes.clip(0).sum()) <= CHECKED_BYTES
    known = check_cache.read(folder, decode, with_checksum)
    found = known.checks_of(names, states)
    _forget_too_large(found, states)
    is_own = _own_part(len(names), sharing)
    reasons = _check_unknown(folder, names, found, is_own, decode, with_checksum)
    is_here, checks = is_own, found
    if sharing.size > 1:
        is_here, checks = _shared(found, reasons, is_own, states, sharing)
    is_elsewhere = ~(is_own | is_here)
    _check_same_content(folder, names, found, checks, found.is_known & is_elsewhere)
    is_valid = np.array([reason is None for reason in reasons], bool)
    known.write(names, states, found, is_valid & (found.is_known | is_here))
    return FileChecks(
        states.sizes.clip(0),
        np.where(is_elsewhere & with_checksum, READ_ELSEWHERE, states.mtimes),
        checks.checksums if with_checksum else None,
        checks.shapes,
        reasons,
        from_first(sharing, lambda: states.files, (len(names),), np.int64),
    )


def _forget_too_large(found: check_cache.FoundChecks, states: FileStates) -> None:
    """Marks files as unknown that a lower limit now refuses: checking them again reports that."""
    found.is_known[found.shapes.prod(axis=1, dtype=np.int64) > most_pixels()] = False
    found.is_known[states.sizes > most_encoded_bytes()] = False


def _own_part(count: int, sharing: Sharing) -> np.ndarray:
    """(N,) bool, which of the files this process opens."""
    is_own = np.zeros(count, bool)
    is_own[slice(*share(count, sharing.number, sharing.size))] = True
    return is_own


def _check_unknown(
    folder: Path,
    names: Sequence[str],
    found: check_cache.FoundChecks,
    is_own: np.ndarray,
    decode: bool,
    with_checksum: bool,
) -> list[str | None]:
    """Opens the unknown files of this process's part and fills in their checks.

    Returns:
        Why each file is not a readable image; None for the others.
    """
    reasons: list[str | None] = [None] * len(names)

    def check(rows: np.ndarray) -> None:
        for row in rows.tolist():
            checked = _check(os.path.join(folder, names[row]), decode, with_checksum)
            found.checksums[row], found.shapes[row] = checked.checksum, checked.shape
            reasons[row] = checked.reason

    unknown = np.flatnonzero(~found.is_known & is_own)
    run_through(in_parts(check, unknown, in_threads=decode), len(unknown), "checking images")
    return reasons


def _shared(
    found: check_cache.FoundChecks,
    reasons: list[str | None],
    is_own: np.ndarray,
    states: FileStates,
    sharing: Sharing,
) -> tuple[np.ndarray, check_cache.FoundChecks]:
    """Combines what the processes have checked, each its own part.

    Args:
        found: checks of the files here; filled in where another process read the same disk.
        reasons: why files of this process's part are broken; the others are filled in.
        is_own: (N,) bool, the part of this process.
        states: of the files here.
        sharing: the processes.

    Returns:
        (N,) bool, which of the checked files are those on the disk here, rather than files of the
        same path on another disk, judged by their times in nanoseconds; and the checks of all.
    """
    count, start = len(is_own), int(share(len(is_own), sharing.number, sharing.size)[0])

    def of_all(values: np.ndarray) -> np.ndarray:
        return gathered(sharing, values[is_own], start, count)

    is_here = of_all(states.mtimes) == states.mtimes
    is_here &= of_all(states.ctimes) == states.ctimes
    broken = {str(row): text for row, text in enumerate(reasons) if text is not None}
    for row, text in merged(sharing, broken).items():
        reasons[int(row)] = text
    checks = check_cache.FoundChecks(found.is_known, of_all(found.checksums), of_all(found.shapes))
    found.checksums[is_here] = checks.checksums[is_here]
    found.shapes[is_here] = checks.shapes[is_here]
    return is_here, checks


def _check_same_content(
    folder: Path,
    names: Sequence[str],
    found: check_cache.FoundChecks,
    checks: check_cache.FoundChecks,
    is_compared: np.ndarray,
) -> None:
    """Compares files that an earlier start read here with what other processes have read.

    Args:
        folder, names: of the files.
        found: checks of the files here.
        checks: those of all processes.
        is_compared: (N,) bool.

    Raises:
        UserError: if the bytes of a file differ; names it.
    """
    differing = np.flatnonzero(is_compared & (found.checksums != checks.checksums))
    if len(differing):
        raise UserError(
            f"{os.path.join(folder, names[differing[0]])} differs from the file of this name "
            f"that another process has read ({len(differing):,} such files): give all "
            "processes the same images."
        )


def _check(path: str, decode: bool, with_checksum: bool) -> Check:
    """Opens a file once, and reads only its header unless more is needed."""
    try:
        content = with_patience(path, lambda: _content(path, is_whole=decode or with_checksum))
        if isinstance(content, str):
            return Check(0, (0, 0), content)
        shape = plain_shape(content)
        if shape is None or decode:
            with naming_image(os.path.abspath(path)):
                shape = shape or header_shape(content if decode or with_checksum else path)
                if decode:
                    load_image(content)
        return Check(zlib.crc32(content) if with_checksum else 0, shape, None)
    except (MemoryError, Unreachable):
        raise
    except Exception as error:  # corrupt files make Pillow raise nearly anything
        cause = error.__cause__ if isinstance(error, BrokenImage | NotFound) else None
        return Check(0, (0, 0), reason(cause or error))


def _content(path: str, is_whole: bool) -> bytes | str:
    """The content of a file or its start, or why it is not read, before a read could hang."""
    with opened(path) as descriptor:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            return "not a regular file"
        if state.st_size == 0:
            return "empty file"
        if fault := fault_of_size(state.st_size):
            return fault
        return read_bytes(descriptor, state.st_size if is_whole else START_BYTES)
