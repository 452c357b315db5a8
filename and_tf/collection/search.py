"""Searches a table for images like a given one."""

from __future__ import annotations

import importlib.util
import logging
import time
from pathlib import Path

import numpy as np

from and_tf.collection.origin import origin_of
from and_tf.collection.printing import print_line
from and_tf.collection.search_page import Found, Near, write_search_page
from and_tf.collection.search_queries import Queries, open_queries
from and_tf.collection.search_settings import SearchSettings
from and_tf.collection.table import fingerprint
from and_tf.collection.table_reading import Table, read_table
from and_tf.data.progress import progress_bar
from and_tf.errors import Argument, UserError
from and_tf.runs.places import check_place, expanded, make_folder_of
from and_tf.search.nearest import nearest_rows
from and_tf.search.saved_index import SavedIndex, build_index, open_index, save_index

ROWS_FOR_AN_INDEX = 200_000

logger = logging.getLogger(__name__)


def search_table(settings: SearchSettings) -> list[Found]:
    """Finds the images of a table nearest to others, prints them and writes a page.

    Args:
        settings: table, images, how many to find.

    Returns:
        What each image found, nearest first; an image of the table does not find itself.

    Raises:
        NotFound: if there is no such table, image or encoder.
        UserError: if a setting is unsuitable or the encoder is a different one.
    """
    page = check_place("page", expanded(settings.page))
    if page.suffix != ".html":
        raise UserError(Argument("page", settings.page), " must end in .html.")
    table, index = _open(expanded(settings.index), settings.search)
    width = index.dim if index else table.embeddings.shape[1]
    queries = open_queries(settings.query, table, width, settings.model, settings.trust_model)
    started = time.perf_counter()
    indices, cosines = _search(table, index, queries, settings.nearest)
    logger.info("Searched in %.0f ms", 1000 * (time.perf_counter() - started))
    results = _results(table, queries, indices, cosines, settings.nearest)
    for found in results:
        _print(found)
    title = f"Photos like {settings.query}"
    subtitle = f"The nearest of {len(table):,} photos of {table.path}, by cosine"
    write_search_page(make_folder_of(page), results, title, subtitle)
    print(f"Page: {page}")
    return results


def _open(path: Path, search: str) -> tuple[Table, SavedIndex | None]:
    """The table, without its embeddings if an existing index has them; and the index or None."""
    table = read_table(path, with_embeddings=False)
    if not _wants_index(len(table), search):
        return read_table(path), None
    rows = table.metadata.get("rows") or fingerprint(read_table(path).embeddings)
    if found := open_index(index_path(path), rows, len(table)):
        return table, found
    table = read_table(path)
    built = build_index(table.embeddings, rows)
    place = save_index(index_path(path), built)
    logger.info(
        "%s (%.0f MB) finds %.1f %% of the 10 nearest that an exact search finds.",
        place, place.stat().st_size / 1e6, built.recall,
    )  # fmt: skip
    return table, built


def _wants_index(num_rows: int, search: str) -> bool:
    if search == "exact" or (search == "auto" and num_rows < ROWS_FOR_AN_INDEX):
        return False
    if search == "auto" and importlib.util.find_spec("faiss") is None:
        logger.info("Searching this many rows is faster with faiss: pip install faiss-cpu")
        return False
    return True


def index_path(table: Path) -> Path:
    """Path of a table's index."""
    return table.with_suffix(".faiss")


def _search(
    table: Table, index: SavedIndex | None, queries: Queries, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (Q, k) int32, -1 for none, and cosines (Q, k); k is one more than asked for."""
    k = min(count + 1, len(table))
    if index is not None:
        return index.search(queries.embeddings, k)
    return nearest_rows(table.embeddings, queries.embeddings, k)


def _results(
    table: Table, queries: Queries, indices: np.ndarray, cosines: np.ndarray, count: int
) -> list[Found]:
    origin = origin_of(table.metadata)
    root = Path(origin.images) if origin else None
    results = []
    rows = zip(queries.names, queries.files, queries.rows, indices, cosines, strict=True)
    with progress_bar(len(queries.names), "results", "query") as bar:
        for name, file, own, found, values in rows:
            nearest = [
                Near(table.paths[row], root / table.paths[row] if root else None, min(1.0, value))
                for row, value in zip(found.tolist(), values.tolist(), strict=True)
                if row not in (own, -1)
            ]
            results.append(Found(name, Path(file) if file else None, nearest[:count]))
            bar.update()
    return results


def _print(found: Found) -> None:
    print_line(found.name)
    for rank, near in enumerate(found.nearest, start=1):
        print_line(f"  {rank:3}  {near.cosine:.4f}  {near.name}")
