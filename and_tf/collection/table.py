"""Embeddings and what was found in them as a table: a .parquet or .npz file."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from and_tf.errors import Argument, MissingPackage, UserError
from and_tf.runs.atomic_files import replace_by

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 10_000


def check_table_path(path: Path) -> Path:
    """Refuses a table that could not be written, before the work is done.

    Raises:
        UserError: a suffix other than .parquet and .npz.
        MissingPackage: .parquet without pyarrow.
    """
    if path.suffix not in (".parquet", ".npz"):
        raise UserError(
            Argument("output", path), ": a table must end in .parquet or .npz, and this ends in "
            f"{path.suffix!r}. Rename it.",
        )  # fmt: skip
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingPackage(
            "A .parquet table needs pyarrow: `pip install pyarrow`, or write .npz."
        )
    return path


def write_table(
    path: Path | str,
    paths: Sequence[str],
    embeddings: np.ndarray,
    neighbours: np.ndarray | None = None,
    similarity: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> None:
    """Writes one row per image to a .parquet or .npz file, whole or not at all.

    Columns are `path`, `embedding` (D float32) and, where given, `neighbours`, `similarity`
    (m float32) and `cluster` (int32). In .parquet `neighbours` holds the m paths; in .npz, which
    keeps one array per column, it holds the (N, m) int32 indices.

    Args:
        path: of the table; an existing file is replaced.
        paths: (N,) str, of the images.
        embeddings: (N, D) float.
        neighbours: (N, m) int, indices of the neighbours.
        similarity: (N, m) float.
        clusters: (N,) int.

    Raises:
        UserError: another suffix, or arrays that do not have one row per image.
        MissingPackage: .parquet without pyarrow.
    """
    path = check_table_path(Path(path))
    # File names need not be UTF-8, tables must be: what cannot be written becomes "?".
    names = [str(name).encode("utf-8", "replace").decode() for name in paths]
    given = {
        "embedding": (embeddings, np.float32),
        "neighbours": (neighbours, np.int32),
        "similarity": (similarity, np.float32),
        "cluster": (clusters, np.int32),
    }
    columns = {
        name: np.asarray(values, dtype)
        for name, (values, dtype) in given.items()
        if values is not None
    }
    _check_rows(columns, len(names))
    path.parent.mkdir(parents=True, exist_ok=True)
    write = _write_parquet if path.suffix == ".parquet" else _write_npz
    replace_by(path, lambda partial: write(partial, names, columns))


def _check_rows(columns: dict[str, np.ndarray], num_rows: int) -> None:
    for name, values in columns.items():
        if len(values) != num_rows or values.ndim != (1 if name == "cluster" else 2):
            raise UserError(
                f"{name} must have one row for each of the {num_rows} paths. "
                f"Received shape {values.shape}."
            )


def _write_npz(path: Path, names: list[str], columns: dict[str, np.ndarray]) -> None:
    with open(path, "wb") as file:  # a file: savez would add a suffix to a name
        arrays: dict[str, Any] = {"path": np.array(names, dtype=str), **columns}
        np.savez(file, **arrays)


def _write_parquet(path: Path, names: list[str], columns: dict[str, np.ndarray]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = pa.array(names, pa.string())
    types = {
        "embedding": pa.list_(pa.float32(), columns["embedding"].shape[1]),
        "neighbours": pa.list_(pa.string()),
        "similarity": pa.list_(pa.float32()),
        "cluster": pa.int32(),
    }
    schema = pa.schema([("path", pa.string())] + [(name, types[name]) for name in columns])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(names), ROW_GROUP):
            part = slice(start, start + ROW_GROUP)
            group = [paths[part]]
            group += [_arrow(name, values[part], paths) for name, values in columns.items()]
            writer.write_table(pa.table(group, schema=schema))


def _arrow(name: str, values: np.ndarray, paths: "pa.Array") -> "pa.Array":
    """A column of part of the rows as Arrow writes it; neighbours by their paths."""
    import pyarrow as pa

    if name == "embedding":
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    if name == "cluster":
        return pa.array(values)
    items = pa.array(values.ravel())
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    items = paths.take(items) if name == "neighbours" else items
    return pa.ListArray.from_arrays(pa.array(offsets), items)
