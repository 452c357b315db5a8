"""A faiss index saved in a file, for searching a table of very many rows."""

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
SAMPLE, NEIGHBOURS = 200, 10  # rows, and nearest others of each, on which recall is measured
MAGIC = b"and_tf index 1\n"  # ends the file, after a description and its length
LONGEST = 4096  # most bytes in a description, which usually has about a hundred
KIND = b"IwFl"  # the first bytes of a faiss index of type IndexIVFFlat
ID_BYTES = 8

logger = logging.getLogger(__name__)


class SavedIndex:
    """An index that finds nearest rows approximately.

    Args:
        index: the faiss index.
        fingerprint: of the rows in it.
        recall: percent of the true nearest rows that it finds, measured on a sample.
    """

    def __init__(self, index: Any, fingerprint: str, recall: float):
        self.index, self.fingerprint, self.recall = index, fingerprint, recall

    @property
    def dim(self) -> int:
        """D, the width of the rows."""
        return self.index.d

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the k nearest rows of each query, nearest first.

        Args:
            queries: (Q, D) float.
            k: how many.

        Returns:
            indices (Q, k) int32, -1 where too few were found; and cosines (Q, k) float32.
        """
        cosines, indices = self.index.search(unit_rows(queries, "queries"), k)
        is_row = (indices >= 0) & (indices < self.index.ntotal)  # a file may contain invalid ids
        return np.where(is_row, indices, -1).astype(np.int32), cosines


def build_index(rows: np.ndarray, fingerprint: str, seed: int = 0) -> SavedIndex:
    """Builds an index and measures its recall.

    It has a quarter of the lists used in discovery: with few queries, building time matters more.

    Args:
        rows: (N, D) float.
        fingerprint: of the rows.
        seed: of the lists' centres and of the sample.

    Raises:
        MissingPackage: if faiss is not installed.
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
    """Writes an index to a file, atomically."""
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
    """Opens an index; returns None if the file is missing, unreadable or made from other rows.

    Its lists stay in the file; a query reads only those that it searches.

    Args:
        path: of the file.
        fingerprint: of the rows.
        num_rows: how many there are.

    Raises:
        MissingPackage: if faiss is not installed.
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
    except (OSError, ValueError, RuntimeError, MemoryError) as error:  # faiss raises the last two
        reason = str(error).strip().partition("\n")[0][:200]
        logger.warning("%s cannot be read as an index (%s): it is built again.", path, reason)
        return None
    return SavedIndex(index, fingerprint, description["recall"])


def _description(path: Path) -> dict[str, Any]:
    if not path.is_file():  # reading a pipe would hang
        raise ValueError("it is not a regular file")
    with open(path, "rb") as file:
        if file.read(len(KIND)) != KIND:
            raise ValueError("it does not begin like one")
        file.seek(-len(MAGIC) - 8, os.SEEK_END)
        length = int.from_bytes(file.read(8), "little")
        if file.read() != MAGIC or length > LONGEST:
            raise ValueError("it does not end like one")
        file.seek(-len(MAGIC) - 8 - length, os.SEEK_END)
        found = schema.parse(file.read(length))
    if fault := schema.INDEX.fault(found):
        raise ValueError(fault)
    return found


def _read(path: Path, nprobe: int, num_rows: int) -> Any:
    """Reads the faiss index and checks everything that a search relies on."""
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
        raise ValueError("its lists are elsewhere")
    if (lists.nlist, lists.code_size) != (index.nlist, 4 * index.d):
        raise ValueError("its lists are of other rows")
    _check_lists(lists, path.stat().st_size)
    index.nprobe = nprobe
    index.search(np.zeros((1, index.d), np.float32), 1)  # whether faiss accepts the rest of it
    return index


def _check_lists(lists: Any, file_bytes: int) -> None:
    """Refuses lists that extend beyond their file, where a search would read out of bounds."""
    if lists.totsize > file_bytes:
        raise ValueError("its lists extend beyond the file")
    for number in range(lists.nlist):
        found = lists.lists.at(number)
        end = found.offset + found.capacity * (lists.code_size + ID_BYTES)
        if found.size > found.capacity or (found.size and end > file_bytes):
            raise ValueError(f"its list {number} extends beyond the file")
