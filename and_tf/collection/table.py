"""Embeddings as a table: neighbours and near-duplicates of images, written to a file."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from and_tf.search.nearest import nearest_others

ROW_GROUP = 10_000


def nearest(embeddings: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other images of each image by cosine.

    An image is never its own neighbour, also where exact copies of it exist.

    Args:
        embeddings: (N, D) float.
        neighbours: m, how many; below N.

    Returns:
        indices (N, m) int32 and similarity (N, m) float32 in -1..1, nearest first, ties by index.

    Raises:
        ValueError: neighbours not in 1..N - 1, embeddings that are not finite.
    """
    embeddings = np.asarray(embeddings, np.float32)
    num_images = len(embeddings)
    if not 1 <= neighbours < num_images:
        raise ValueError(
            "neighbours must be at least 1 and smaller than the number of images. Received "
            f"neighbours={neighbours} for {num_images} images: lower --neighbours or add images."
        )
    indices, similarity = nearest_others(embeddings, neighbours)  # (N, m) each
    return indices, np.clip(similarity, -1, 1)


def near_duplicates(
    indices: np.ndarray, similarity: np.ndarray, threshold: float
) -> list[tuple[int, int, float]]:
    """Pairs of images at least as similar as a threshold, each once.

    Args:
        indices: (N, m) int, as from `nearest`.
        similarity: (N, m) float.
        threshold: lowest cosine of a pair.

    Returns:
        (i, j, similarity) with i < j, most similar first, then by i and j.
    """
    row, column = np.nonzero(np.asarray(similarity) >= threshold)
    other = np.asarray(indices)[row, column]
    pairs = {}
    for i, j, value in zip(row, other, np.asarray(similarity)[row, column], strict=True):
        pairs.setdefault((int(min(i, j)), int(max(i, j))), float(value))
    found = [(i, j, value) for (i, j), value in pairs.items()]
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))


def check_table_path(path: Path | str) -> Path:
    """Refuses a table that could not be written, before the work is done.

    Raises:
        ValueError: a suffix other than .parquet and .npz.
        ImportError: .parquet without pyarrow.
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".npz"):
        raise ValueError(
            f"A table ends in .parquet or .npz. Received {str(path)!r} with suffix {path.suffix!r}."
        )
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "A .parquet table needs pyarrow: `pip install pyarrow`, or write .npz."
            ) from error
    return path


def write_table(
    path: Path | str,
    paths: Sequence[str],
    embeddings: np.ndarray,
    neighbours: np.ndarray | None = None,
    similarity: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> None:
    """Writes one row an image to a .parquet or .npz file, whole or not at all.

    Columns are `path`, `embedding` (D float32) and, where given, `neighbours`, `similarity`
    (m float32) and `cluster` (int32). In .parquet `neighbours` holds the m paths; in .npz, which
    keeps one array a column, it holds the (N, m) int32 indices.

    Args:
        path: of the table; an existing file is replaced.
        paths: (N,) str, of the images.
        embeddings: (N, D) float.
        neighbours: (N, m) int, indices of the neighbours.
        similarity: (N, m) float.
        clusters: (N,) int.

    Raises:
        ValueError: another suffix, or arrays that do not have one row an image.
        ImportError: .parquet without pyarrow.
    """
    path = check_table_path(path)
    # File names need not be UTF-8, tables must be: what cannot be written becomes "?".
    names = [str(name).encode("utf-8", "replace").decode() for name in paths]
    columns = {
        "embedding": np.asarray(embeddings, np.float32),
        "neighbours": None if neighbours is None else np.asarray(neighbours, np.int32),
        "similarity": None if similarity is None else np.asarray(similarity, np.float32),
        "cluster": None if clusters is None else np.asarray(clusters, np.int32),
    }
    columns = {name: values for name, values in columns.items() if values is not None}
    for name, values in columns.items():
        if len(values) != len(names) or values.ndim != (1 if name == "cluster" else 2):
            raise ValueError(
                f"{name} must have one row for each of the {len(names)} paths. "
                f"Received shape {values.shape}."
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    write = _write_parquet if path.suffix == ".parquet" else _write_npz
    try:
        write(partial, names, columns)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_npz(path, names, columns):
    with open(path, "wb") as file:  # a file: savez would add a suffix to a name
        np.savez(file, path=np.array(names, dtype=str), **columns)


def _write_parquet(path, names, columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pa.array(names, pa.string())
    types = {
        "embedding": pa.list_(pa.float32(), columns["embedding"].shape[1]),
        "neighbours": pa.list_(pa.string()),
        "similarity": pa.list_(pa.float32()),
        "cluster": pa.int32(),
    }
    schema = pa.schema([("path", pa.string())] + [(name, types[name]) for name in columns])

    def arrow(name, values):
        if name == "neighbours":
            return _lists(names.take(pa.array(values.ravel())), values.shape)
        if name == "similarity":
            return _lists(pa.array(values.ravel()), values.shape)
        if name == "embedding":
            return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        return pa.array(values, types[name])

    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(names), ROW_GROUP):
            part = slice(start, start + ROW_GROUP)
            group = [names[part]] + [arrow(name, values[part]) for name, values in columns.items()]
            writer.write_table(pa.table(group, schema=schema))


def _lists(values, shape):
    import pyarrow as pa

    offsets = np.arange(shape[0] + 1, dtype=np.int32) * shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), values)
