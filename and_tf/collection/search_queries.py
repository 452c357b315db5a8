"""The query images of a search: files, or rows of the table itself."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.collection.columns import clean_texts
from and_tf.collection.encoder import embed_source
from and_tf.collection.origin import Origin, encoder_of, origin_of
from and_tf.collection.table_reading import Table, read_table
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.folder import open_folder
from and_tf.errors import Argument, BrokenImage, NotFound
from and_tf.runs.places import expanded

MOST_AT_ONCE = 64


class Queries(NamedTuple):
    """The queries of a search.

    Attributes:
        names: Q names, as they are shown.
        files: Q paths of their files, if they are known.
        embeddings: (Q, D) float32.
        rows: (Q,) int, their rows in the table, including files in the folder that it was made
            from; -1 for images from elsewhere.
    """

    names: list[str]
    files: list[str | None]
    embeddings: np.ndarray
    rows: np.ndarray


def open_queries(
    query: str, table: Table, width: int, model: str, trust_model: bool = False
) -> Queries:
    """Embeds an image, or the images of a folder, or takes a row of the table.

    Args:
        query: path of an image or a folder, or a path in the table.
        table: the table to search; its embeddings may be left out.
        width: D of its embeddings.
        model: where its encoder is now; empty if it was not moved.
        trust_model: see `load_exported`.

    Raises:
        NotFound: if none of these exists, or the encoder is not where it was.
        BrokenImage: if an image cannot be decoded.
        UserError: if the encoder is a different one.
    """
    path = expanded(query)
    origin = origin_of(table.metadata)
    if not path.exists():
        row = _row_of(query, table)
        name = table.paths[row]
        file = os.path.join(origin.images, name) if origin else None
        embeddings = table.embeddings
        if not embeddings.shape[1]:
            embeddings = read_table(table.path).embeddings
        return Queries([name], [file], embeddings[[row]], np.array([row]))
    source = open_folder(path, skip_broken=True) if path.is_dir() else _one_file(path)
    encoder = encoder_of(table.path, origin, model, width, trust_model)
    try:
        embeddings = embed_source(encoder, source, min(MOST_AT_ONCE, len(source)))
    except BrokenImage as error:
        if path.is_dir():
            raise
        raise BrokenImage(
            Argument("query", query), f" cannot be read as an image ({error.__cause__ or error}): "
            "give another file.",
        ) from error  # fmt: skip
    files = [str(item) for item in source.items]
    rows = _rows_of(files, table, origin)
    return Queries(source.names or [], [*files], embeddings, rows)


def _rows_of(files: list[str], table: Table, origin: Origin | None) -> np.ndarray:
    """(Q,) int, the rows of files in the folder of the table; -1 for others."""
    rows = np.full(len(files), -1)
    if origin is None:
        return rows
    places = {name: row for row, name in enumerate(table.paths)}
    folders = [os.path.abspath(origin.images), os.path.realpath(origin.images)]
    for number, file in enumerate(files):
        for path, folder in zip(
            (os.path.abspath(file), os.path.realpath(file)), folders, strict=True
        ):
            name = clean_texts([Path(os.path.relpath(path, folder)).as_posix()])[0]
            rows[number] = max(rows[number], places.get(name, -1))
    return rows


def _one_file(path: Path) -> EncodedSource:
    return EncodedSource(
        [str(path)], str(path), names=[path.name], sizes=np.array([path.stat().st_size])
    )


def _row_of(query: str, table: Table) -> int:
    """The row of an image in a table, found by its path there."""
    name = clean_texts([query])[0]
    if name in table.paths:
        return table.paths.index(name)
    close = difflib.get_close_matches(name, table.paths[:20_000], n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise NotFound(
        Argument("query", query),
        f" is neither a file nor a folder, nor the path of an image in {table.path}: correct it."
        f"{hint}",
    )
