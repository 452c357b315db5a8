"""The checks of a folder's image files, kept from one start to the next in the user's cache folder.

One file for each folder and kind of check, written whole and renamed, so that processes beside
each other may write it; what cannot be read or written there is done without.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from and_tf.data.file_checks import Check

logger = logging.getLogger(__name__)

# A file that has just been written may change again within the clock's tick, size and times alike.
SETTLED_SECONDS = 2.0
COLUMNS = {"sizes": np.int64, "mtimes": np.int64, "ctimes": np.int64, "checksums": np.uint32}


class KnownChecks:
    """Checks of former starts.

    Args:
        path: of the file that holds them.
    """

    def __init__(self, path: Path):
        self.path = path
        self.began = time.time()
        self.is_written_anew = False
        self.rows: dict[str, tuple[int, ...]] = {}
        try:
            self.rows = _read(path)
        except FileNotFoundError:
            pass
        except Exception as error:  # by a kill, a full disk or another version: check anew
            logger.debug("%s cannot be read (%s)", path, error)

    def get(self, name: str, state: os.stat_result) -> Check | None:
        """The check of a file that has not changed since; None if there is none."""
        from and_tf.data.file_checks import Check

        row = self.rows.get(name)
        if row is None or row[:3] != _key(state):
            self.is_written_anew = True
            return None
        return Check(row[3], (row[4], row[5]), None)

    def write(
        self,
        names: Sequence[str],
        states: Sequence[os.stat_result | None],
        checks: Sequence[Check],
    ) -> None:
        """Keeps the checks of valid files that were not written a moment ago."""
        if not self.is_written_anew and len(names) == len(self.rows):
            return
        rows: dict[str, tuple[int, ...]] = {
            name: (*_key(state), check.checksum, *check.shape)
            for name, state, check in zip(names, states, checks, strict=True)
            if state is not None
            and check.reason is None
            and max(state.st_mtime, state.st_ctime) < self.began - SETTLED_SECONDS
        }
        try:
            _write(self.path, rows)
        except OSError as error:  # a home that is read-only or full
            logger.debug("%s cannot be written (%s)", self.path, error)


def read(folder: Path, decode: bool, with_checksum: bool) -> KnownChecks:
    """Checks of the files in a folder, as thorough as asked for."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    key = f"{os.path.realpath(folder)}\n{decode} {with_checksum}"
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    return KnownChecks(root / "and_tf" / "image_files" / f"{name}.npz")


def _key(state: os.stat_result) -> tuple[int, int, int]:
    """Size and times; the time of change tells also an edit that sets the other one back."""
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _read(path: Path) -> dict[str, tuple[int, ...]]:
    with np.load(path, allow_pickle=False) as file:
        names = file["names"].tobytes().decode(errors="surrogateescape").split("\0")
        columns = [file[column] for column in COLUMNS] + list(file["shapes"].T)
    if [column.dtype for column in columns[:4]] != list(COLUMNS.values()) or any(
        column.shape != (len(names),) for column in columns
    ):
        raise ValueError("its columns do not belong together")
    return dict(zip(names, zip(*(column.tolist() for column in columns), strict=True), strict=True))


def _write(path: Path, rows: dict[str, tuple[int, ...]]) -> None:
    if not rows:
        return
    table = list(zip(*rows.values(), strict=True))
    arrays: dict[str, Any] = {
        name: np.array(column, dtype)
        for (name, dtype), column in zip(COLUMNS.items(), table, strict=False)
    }
    arrays["shapes"] = np.array(table[4:], np.int32).T
    arrays["names"] = np.frombuffer("\0".join(rows).encode(errors="surrogateescape"), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(dir=path.parent)  # a name of its own: others write too
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
