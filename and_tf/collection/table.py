"""Writes embeddings and what was found in them as a table: a .parquet or .npz file."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from and_tf.collection.columns import Column, Lists, Values, as_column, clean_texts
from and_tf.errors import Argument, MissingPackage, UserError
from and_tf.runs.atomic_files import replace_by
from and_tf.runs.places import check_local, expanded

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 10_000
METADATA = "and_tf"  # key of a .parquet file's metadata
PARTS = "__offsets"  # in .npz, suffix of the array that splits a column into lists


def check_table_path(path: Path, argument: str = "output") -> Path:
    """Refuses a table that could not be written or read, before the work is done.

    Raises:
        UserError: for a suffix other than .parquet and .npz, or an address.
        MissingPackage: for .parquet without pyarrow.
    """
    check_local(argument, path)
    if path.suffix not in (".parquet", ".npz"):
        raise UserError(
            Argument(argument, path), ": a table must end in .parquet or .npz, and this ends in "
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
    columns: Mapping[str, Values] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes one row per image to a .parquet or .npz file, whole or not at all.

    Columns are `path`, `embedding` (D float32) and any others by name: numbers or booleans (N,) or
    (N, m), N strings, or N lists of numbers or strings. In .parquet, `neighbours`, (N, m) indices,
    is written as the m paths; .npz, which has one array per column, holds the indices. There, a
    column of lists of different lengths is one array of all items, and `NAME__offsets` (N + 1,):
    list i is `items[offsets[i]:offsets[i + 1]]`.

    Args:
        path: of the table; an existing file is replaced.
        paths: (N,) str, of the images.
        embeddings: (N, D) float.
        columns: further columns by name.
        metadata: what made the table, stored as JSON.

    Raises:
        UserError: for another suffix, or columns that do not have one value per image.
        MissingPackage: for .parquet without pyarrow.
    """
    path = check_table_path(expanded(path))
    names = clean_texts(paths)
    written = {"embedding": np.asarray(embeddings, np.float32)}
    if written["embedding"].shape[:1] != (len(names),) or written["embedding"].ndim != 2:
        raise UserError(
            f"embeddings must have one row for each of the {len(names)} paths. "
            f"Received shape {written['embedding'].shape}."
        )
    others = {name: as_column(name, values, len(names)) for name, values in (columns or {}).items()}
    if taken := {"path", "embedding", "metadata"} & set(others):
        raise UserError(f"A column cannot be called {min(taken)}: give it another name.")
    text = json.dumps(dict(metadata or {}) | {"rows": fingerprint(written["embedding"])})
    path.parent.mkdir(parents=True, exist_ok=True)
    write = _write_parquet if path.suffix == ".parquet" else _write_npz
    replace_by(path, lambda partial: write(partial, names, {**written, **others}, text))


def fingerprint(embeddings: np.ndarray) -> str:
    """A hash of rows (N, D) float32, which shows whether an index or table holds the same ones."""
    rows = np.ascontiguousarray(embeddings, "<f4")
    digest = hashlib.sha256(repr(rows.shape).encode())
    digest.update(rows.data)
    return digest.hexdigest()


def _write_npz(path: Path, names: list[str], columns: dict[str, Column], metadata: str) -> None:
    arrays: dict[str, Any] = {"path": np.array(names, dtype=str)}
    for name, values in columns.items():
        items = values.items if isinstance(values, Lists) else values
        arrays[name] = np.array(items, dtype=str) if isinstance(items, list) else items
        if isinstance(values, Lists):
            arrays[name + PARTS] = values.offsets
    arrays["metadata"] = np.array(metadata)
    with open(path, "wb") as file:  # a file: savez would add a suffix to a name
        np.savez(file, **arrays)


def _write_parquet(path: Path, names: list[str], columns: dict[str, Column], metadata: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = pa.array(names, pa.string())
    fields = [pa.field("path", pa.string())]
    fields += [pa.field(name, _type(name, values)) for name, values in columns.items()]
    schema = pa.schema(fields, metadata={METADATA: metadata})
    # Random floats neither repeat nor compress: with both on, 200,000 rows of 128 took 3.5 s to
    # write instead of 1.0 s, and the file was no smaller.
    others = [name for name in schema.names if name != "embedding"]
    leaves = [leaf for name in others for leaf in (name, f"{name}.list.element")]
    plain: dict[str, Any] = {
        "use_dictionary": leaves,
        "compression": dict.fromkeys(leaves, "snappy") | {"embedding.list.element": "none"},
    }
    with pq.ParquetWriter(path, schema, **plain) as writer:
        for start in range(0, len(names), ROW_GROUP):
            part = slice(start, min(start + ROW_GROUP, len(names)))
            group = [paths[part]]
            group += [_arrow(name, values, part, paths) for name, values in columns.items()]
            writer.write_table(pa.table(group, schema=schema))


def _type(name: str, values: Column) -> pa.DataType:
    """The Arrow type of a column."""
    import pyarrow as pa

    if isinstance(values, Lists):
        return pa.list_(_type(name, values.items))
    if isinstance(values, list) or name == "neighbours":
        return pa.list_(pa.string()) if name == "neighbours" else pa.string()
    item = pa.from_numpy_dtype(values.dtype)
    if name == "embedding":
        return pa.list_(item, values.shape[1])
    return pa.list_(item) if values.ndim == 2 else item


def _arrow(name: str, values: Column, part: slice, paths: pa.Array) -> pa.Array:
    """A slice of a column as an Arrow array; neighbours as paths."""
    import pyarrow as pa

    if isinstance(values, Lists):
        offsets = values.offsets[part.start : part.stop + 1]
        items = pa.array(values.items[offsets[0] : offsets[-1]])
        return pa.ListArray.from_arrays(pa.array(offsets - offsets[0]), items)
    rows = values[part]
    if isinstance(rows, list) or rows.ndim == 1:
        return pa.array(rows)
    items = pa.array(rows.ravel())
    if name == "embedding":
        return pa.FixedSizeListArray.from_arrays(items, rows.shape[1])
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    items = paths.take(items) if name == "neighbours" else items
    return pa.ListArray.from_arrays(pa.array(offsets), items)
