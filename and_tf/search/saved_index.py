"""A faiss index that is kept in a file, for queries to a table of very many rows."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.runs import schema
from and_tf.runs.atomic_files import replace_by
from and_tf.search.faiss_index import FaissIndex, import_faiss
from and_tf.search.native import call_natively
from and_tf.search.nearest import nearest_others
from and_tf.search.rows import unit_rows

RECALL = 98.0  # percent
SAMPLE, NEIGHBOURS = 200, 10  # rows, and nearest others of each, on which it is measured
MAGIC = b"and_tf index 1\n"  # ends the file, after a description and its length
LONGEST = 4096  # bytes of a description, which has some hundred
KIND = b"IwFl"  # how faiss begins an index of rows in lists
ID_BYTES = 8

logger = logging.getLogger(__name__)


class SavedIndex:
    """Finds approximately nearest rows.

    Args:
        index: of faiss.
        fingerprint: of the rows in it.
        recall: percent of the true nearest rows that it finds, on a sample.
    """

    def __init__(self, index: Any, fingerprint: str, recall: float):
        self.index, self.fingerprint, self.recall = index, fingerprint, recall

    @property
    def dim(self) -> int:
        """D, the width of the rows."""
        return self.index.d

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of each query, nearest first.

        Args:
            queries: (Q, D) float.
            k: how many.

        Returns:
            indices (Q, k) int32, -1 where too few were found; and cosines (Q, k) float32.
        """
        cosines, indices = self.index.search(unit_rows(queries, "queries"), k)
        is_row = (indices >= 0) & (indices < self.index.ntotal)  # of what is read from a file
        return np.where(is_row, indices, -1).astype(np.int32), cosines


def build_index(rows: np.ndarray, fingerprint: str, seed: int = 0) -> SavedIndex:
    """Builds an index and measures its recall.

    Its lists are a quarter of those for discovery: with few queries the time to build it counts.

    Args:
        rows: (N, D) float.
        fingerprint: of the rows.
        seed: of the lists' centres and of the sample.

    Raises:
        MissingPackage: without faiss.
    """
    rows = unit_rows(rows)
    logger.info("Building an index of %s rows", f"{len(rows):,}")
    built = FaissIndex(rows, seed, lists_per_root=1, progress=True)
    size = min(SAMPLE, len(rows))
    sample = np.sort(np.random.default_rng(seed).choice(len(rows), size, replace=False))
    nearest, _ = nearest_others(rows, min(NEIGHBOURS, len(rows) - 1), sample)
    recall = built.widen_search(sample, nearest, RECALL)
    return SavedIndex(built.index, fingerprint, recall)


def save_index(path: Path, saved: SavedIndex) -> Path:
    """Writes an index into a file, whole or not at all."""
    description = {
        "fingerprint": saved.fingerprint, "recall": saved.recall, "nprobe": saved.index.nprobe
    }  # fmt: skip
    text = json.dumps(description).encode()

    def write(partial: Path) -> None:
        call_natively(import_faiss().write_index, saved.index, str(partial))
        with open(partial, "ab") as file:
            file.write(text + len(text).to_bytes(8, "little") + MAGIC)

    return replace_by(path, write)


def open_index(path: Path, fingerprint: str, num_rows: int) -> SavedIndex | None:
    """Opens an index; None if there is none of these rows that can be read.

    Its lists stay in the file, of which a query reads those that it looks into.

    Args:
        path: of the file.
        fingerprint: of the rows.
        num_rows: how many there are.

    Raises:
        MissingPackage: without faiss.
    """
    import_faiss()
    if not path.exists():
        return None
    try:
        description = _description(path)
        if description["fingerprint"] != fingerprint:
            logger.info("%s is of another table, or of an earlier state of this one.", path)
            return None
        index = _read(path, description["nprobe"], num_rows)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:  # the latter two of faiss
        reason = str(error).strip().partition("\n")[0][:200]
        logger.warning("%s cannot be read as an index (%s): it is built anew.", path, reason)
        return None
    return SavedIndex(index, fingerprint, description["recall"])


def _description(path: Path) -> dict[str, Any]:
    if not path.is_file():  # reading a pipe would hang
        raise ValueError("it is no regular file")
    with open(path, "rb") as file:
        if file.read(len(KIND)) != KIND:
            raise ValueError("it does not begin as one")
        file.seek(-len(MAGIC) - 8, os.SEEK_END)
        length = int.from_bytes(file.read(8), "little")
        if file.read() != MAGIC or length > LONGEST:
            raise ValueError("it does not end as one")
        file.seek(-len(MAGIC) - 8 - length, os.SEEK_END)
        found = schema.parse(file.read(length))
    if fault := schema.INDEX.fault(found):
        raise ValueError(fault)
    return found


def _read(path: Path, nprobe: int, num_rows: int) -> Any:
    """The index of faiss, of which is checked what a search relies on."""
    faiss = import_faiss()
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    if index.ntotal != num_rows or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise ValueError(f"it has {index.ntotal:,} rows, not {num_rows:,}, or another metric")
    if not 1 <= nprobe <= index.nlist:
        raise ValueError(f"nprobe is {nprobe}, not a whole number from 1 to {index.nlist}")
    quantizer = faiss.downcast_index(index.quantizer)
    if (quantizer.d, quantizer.ntotal) != (index.d, index.nlist):
        raise ValueError("its centres are not those of its lists")
    lists = faiss.downcast_InvertedLists(index.invlists)
    if not isinstance(lists, faiss.OnDiskInvertedLists) or lists.filename:
        raise ValueError("its lists lie elsewhere")
    if (lists.nlist, lists.code_size) != (index.nlist, 4 * index.d):
        raise ValueError("its lists are of other rows")
    _check_lists(lists, path.stat().st_size)
    index.nprobe = nprobe
    index.search(np.zeros((1, index.d), np.float32), 1)  # whether faiss takes what else it holds
    return index


def _check_lists(lists: Any, file_bytes: int) -> None:
    """Refuses lists that do not lie in their file, which a search would read beyond."""
    if lists.totsize > file_bytes:
        raise ValueError("its lists do not lie in the file")
    for number in range(lists.nlist):
        found = lists.lists.at(number)
        end = found.offset + found.capacity * (lists.code_size + ID_BYTES)
        if found.size > found.capacity or (found.size and end > file_bytes):
            raise ValueError(f"its list {number} does not lie in the file")
