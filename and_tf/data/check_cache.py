"""The checks of a folder's image files, kept from one start to the next in the user's cache folder.

There is one file for each folder and kind of check. It is written whole and then renamed, so that
several processes may write it at once. If it cannot be read or written, work continues without it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from and_tf.runs.atomic_files import replace_by

if TYPE_CHECKING:
    from and_tf.data.file_states import FileStates

logger = logging.getLogger(__name__)

# A file that has just been written may change again within the same clock tick, which would leave
# its size and times as they are.
SETTLED_SECONDS = 2.0
COLUMNS = {"sizes": np.int64, "mtimes": np.int64, "ctimes": np.int64, "checksums": np.uint32}


class FoundChecks(NamedTuple):
    """Checks of files in their order; those that are not known are yet to be filled in.

    Attributes:
        is_known: (N,) bool.
        checksums: (N,) uint32.
        shapes: (N, 2) int32.
    """

    is_known: np.ndarray
    checksums: np.ndarray
    shapes: np.ndarray


class KnownChecks:
    """Checks made by earlier starts.

    Args:
        path: the file that holds them.

    Attributes:
        names: names of the checked files, joined by zero bytes.
        columns: {name: (N,) or (N, 2)}: those of `COLUMNS`, and `shapes`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.began = time.time()
        self.names = b""
        self.columns: dict[str, np.ndarray] = {}
        try:
            self.names, self.columns = _read(path)
        except FileNotFoundError:
            pass
        except Exception as error:  # after a kill, a full disk or another version: check again
            logger.debug("%s cannot be read (%s)", path, error)

    def __len__(self) -> int:
        return len(self.columns["sizes"]) if self.columns else 0

    def checks_of(self, names: Sequence[str], states: FileStates) -> FoundChecks:
        """The checks of files that have not changed since they were made."""
        found = FoundChecks(
            np.zeros(len(names), bool),
            np.zeros(len(names), np.uint32),
            np.zeros((len(names), 2), np.int32),
        )
        rows, places = self._same_names(names)
        for name in ("sizes", "mtimes", "ctimes"):
            if len(rows):
                is_same = getattr(states, name)[rows] == self.columns[name][places]
                rows, places = rows[is_same], places[is_same]
        if len(rows):
            found.is_known[rows] = True
            found.checksums[rows] = self.columns["checksums"][places]
            found.shapes[rows] = self.columns["shapes"][places]
        return found

    def _same_names(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the names that are known, and their places among the known names."""
        if not len(self):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if _joined(names) == self.names:  # the usual case, without a dictionary of a million names
            return np.arange(len(names)), np.arange(len(names))
        known = {name: place for place, name in enumerate(self.names.split(b"\0"))}
        places = np.fromiter((known.get(_bytes(name), -1) for name in names), np.int64, len(names))
        rows = np.flatnonzero(places >= 0)
        return rows, places[rows]

    def write(
        self,
        names: Sequence[str],
        states: FileStates,
        found: FoundChecks,
        is_valid: np.ndarray,
    ) -> None:
        """Stores the checks of valid files, except those that were modified a moment ago.

        Args:
            names, states: of the files.
            found: their checks; `is_known` marks those that were known before.
            is_valid: (N,) bool, which files can be read.
        """
        if found.is_known.all() and len(names) == len(self):
            return
        latest = (self.began - SETTLED_SECONDS) * 1e9
        is_settled = np.maximum(states.mtimes, states.ctimes) < latest
        rows = np.flatnonzero(is_valid & is_settled & (states.sizes >= 0))
        columns = {name: getattr(states, name)[rows] for name in ("sizes", "mtimes", "ctimes")}
        columns |= {"checksums": found.checksums[rows], "shapes": found.shapes[rows]}
        kept = names if len(rows) == len(names) else [names[row] for row in rows.tolist()]
        try:
            _write(self.path, kept, columns)
        except OSError as error:  # a home folder that is read-only or full
            logger.debug("%s cannot be written (%s)", self.path, error)


def cache_folder() -> Path:
    """Where this package caches what can be computed again, in the user's cache folder.

    A user without a home folder, as in a container, has none: then a path below /dev/null, where
    nothing can be stored.
    """
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.devnull if root.startswith("~") else root) / "and_tf"


def read(folder: Path, decode: bool, with_checksum: bool) -> KnownChecks:
    """The known checks of the files in a folder, of the requested thoroughness."""
    key = f"{os.path.realpath(folder)}\n{decode} {with_checksum}"
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    return KnownChecks(cache_folder() / "image_files" / f"{name}.npz")


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


def _joined(names: Sequence[str]) -> bytes:
    return _bytes("\0".join(names))


def _read(path: Path) -> tuple[bytes, dict[str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as file:
        names = file["names"].tobytes()
        columns = {name: file[name] for name in (*COLUMNS, "shapes")}
    count = names.count(b"\0") + 1
    if [columns[name].dtype for name in COLUMNS] != list(COLUMNS.values()) or any(
        column.shape != ((count, 2) if name == "shapes" else (count,))
        for name, column in columns.items()
    ):
        raise ValueError("its columns do not match each other")
    return names, columns


def _write(path: Path, names: Sequence[str], columns: dict[str, np.ndarray]) -> None:
    if len(names):
        write_arrays(path, columns | {"names": np.frombuffer(_joined(names), np.uint8)})


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz file whole or not at all; compressing would take longer than all the rest."""

    def write(partial: Path) -> None:
        with open(partial, "wb") as file:  # a file: savez would add a suffix to a name
            np.savez(file, **arrays)  # type: ignore[arg-type]

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_by(path, write, is_durable=False)  # it can be computed again
