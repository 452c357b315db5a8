"""Reads tables, including those of earlier versions."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.collection.files import FILE_COLUMNS
from and_tf.collection.table import METADATA, PARTS, check_table_path
from and_tf.errors import Argument, BrokenFile, NotFound
from and_tf.runs import schema
from and_tf.runs.archives import check_arrays
from and_tf.runs.places import expanded


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A table, or some columns of it.

    Attributes:
        path: of the file.
        paths: N paths of images, relative to the folder that was embedded.
        embeddings: (N, D) float32.
        columns: the requested columns that it has: arrays (N,) or (N, m), or lists.
        metadata: what made it; empty for tables of earlier versions.
    """

    path: Path
    paths: list[str]
    embeddings: np.ndarray
    columns: dict[str, Any]
    metadata: dict[str, Any]

    def __len__(self) -> int:
        return len(self.paths)


def read_table(
    path: Path | str,
    columns: Sequence[str] = (),
    argument: str = "index",
    with_embeddings: bool = True,
) -> Table:
    """Reads a table.

    Args:
        path: of the .parquet or .npz file.
        columns: further columns to read; those that the table lacks are left out.
        argument: that names the table in messages.
        with_embeddings: False for embeddings of shape (N, 0), much faster for a million rows.

    Raises:
        NotFound: if there is no such file.
        BrokenFile: if it is corrupt, or not a table of embeddings.
        UserError: for another suffix.
        MissingPackage: for .parquet without pyarrow.
    """
    path = check_table_path(expanded(path), argument)
    if not path.is_file():
        raise NotFound(
            Argument(argument, path),
            " does not exist: embed the photos first, or correct the path.",
        )
    read = _read_parquet if path.suffix == ".parquet" else _read_npz
    with _naming(path):
        table = read(path, columns, with_embeddings)
        if fault := fault_of_table(table):
            raise ValueError(fault)
        if with_embeddings and (fault := _fault_of_embeddings(table.embeddings)):
            raise ValueError(fault)
        return table


def fault_of_table(table: Table) -> str:
    """What is wrong with the arrays of a table, as text; empty if nothing is."""
    if not all(isinstance(name, str) for name in table.paths):
        return "path holds values that are not text"
    found, count = table.embeddings, len(table)
    if not count:
        return "it names no image"
    if found.dtype != np.float32 or found.ndim != 2 or len(found) != count:
        return f"embedding holds {found.dtype} of shape {found.shape} for {count} paths"
    for name, values in table.columns.items():
        array = np.asarray(values) if name in FILE_COLUMNS else values
        if len(values) != count:
            return f"{name} holds {len(values)} values for {count} paths"
        if name in FILE_COLUMNS and (array.dtype.kind not in "iu" or array.ndim != 1):
            return f"{name} holds {array.dtype} of shape {array.shape}, not whole numbers"
    return ""


def _fault_of_embeddings(found: np.ndarray) -> str:
    if not found.size:
        return f"embedding holds no numbers, its shape is {found.shape}"
    if not (np.isfinite(found.min()) and np.isfinite(found.max())):  # NaN passes through both
        return "embedding holds NaN or infinite values"
    return ""


def _read_parquet(path: Path, columns: Sequence[str], with_embeddings: bool) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    wanted = [name for name in columns if name in names]
    read = ["path", *(["embedding"] if with_embeddings else []), *wanted]
    found = pq.read_table(path, columns=read, memory_map=True)
    embeddings = np.empty((len(found), 0), np.float32)
    if with_embeddings:
        rows = found["embedding"].combine_chunks()
        if not pa.types.is_fixed_size_list(rows.type) or rows.null_count:
            raise ValueError(f"embedding holds {rows.type}, not equally many numbers per image")
        flat = rows.flatten().to_numpy(zero_copy_only=True)  # (N * D,)
        embeddings = flat.reshape(-1, rows.type.list_size)
    return Table(
        path,
        found["path"].to_pylist(),
        embeddings,
        {name: _column(found[name]) for name in wanted},
        _metadata((found.schema.metadata or {}).get(METADATA.encode(), b"{}")),
    )


def _column(values: Any) -> Any:
    """Numbers and booleans as an array, strings and lists as a list."""
    import pyarrow.types as types

    if types.is_integer(values.type) or types.is_floating(values.type):
        return values.to_numpy()
    return np.array(values.to_pylist()) if types.is_boolean(values.type) else values.to_pylist()


def _read_npz(path: Path, columns: Sequence[str], with_embeddings: bool) -> Table:
    check_arrays(path)
    with np.load(path, allow_pickle=False) as file:
        metadata = str(file["metadata"]) if "metadata" in file else "{}"
        found = {}
        for name in columns:
            if name in file:
                found[name] = file[name]
            if name + PARTS in file:
                items, ends = file[name].tolist(), _ends(file[name + PARTS])
                found[name] = [items[i:j] for i, j in itertools.pairwise(ends)]
        names = file["path"]
        if names.ndim != 1:
            raise ValueError(f"path has the shape {names.shape}")
        paths = names.tolist()
        none = np.empty((len(paths), 0), np.float32)
        embeddings = file["embedding"] if with_embeddings else none
        return Table(path, paths, embeddings, found, _metadata(metadata))


def _ends(offsets: np.ndarray) -> list[int]:
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        raise ValueError(f"the ends of lists are {offsets.dtype} of shape {offsets.shape}")
    return offsets.tolist()


def _metadata(text: str | bytes) -> dict[str, Any]:
    found = schema.parse(text)
    if fault := schema.TABLE.fault(found):
        raise ValueError(fault)
    return found


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names the table in whatever a reader raises: corrupt files cause many kinds of exceptions."""
    try:
        yield
    except (MemoryError, OSError) as error:
        if isinstance(error, MemoryError) or error.errno:
            raise
        raise _broken(path, error) from error
    except Exception as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> BrokenFile:
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".")[:200] if lines else type(error).__name__
    return BrokenFile(
        f"{path} cannot be read as a table of embeddings ({reason}): it is corrupt or from another "
        "program; embed the photos again."
    )
