"""Brings a table up to date: only photos that are new or have changed are embedded."""

from __future__ import annotations

import collections
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.collection.columns import clean_texts
from and_tf.collection.encoder import embed_source
from and_tf.collection.files import FILE_COLUMNS, Files, read_checksums
from and_tf.collection.origin import Origin, check_same, origin_of
from and_tf.collection.table import fingerprint
from and_tf.collection.table_reading import Table, read_table
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, BrokenFile, UserError
from and_tf.export import ExportedEncoder

TOLERANCE = 1e-5  # of an embedding's value: machines round by less

logger = logging.getLogger(__name__)


class Changes(NamedTuple):
    """What has changed since a table was written.

    Attributes:
        rows: (N,) int64, row of the table whose embedding an image keeps; -1 for none.
        files: of the N images, with the checksums of those that keep an embedding.
        kept, new, changed, removed: how many images.
    """

    rows: np.ndarray
    files: Files
    kept: int
    new: int
    changed: int
    removed: int


def recorded_origin(table: Path) -> Origin | None:
    """What made a table, from its metadata; None if there is no table or it is not recorded."""
    if not table.is_file():
        return None
    return origin_of(read_table(table, argument="output").metadata)


def updated_embeddings(
    table_path: Path, encoder: ExportedEncoder, origin: Origin, source: Source, files: Files
) -> tuple[np.ndarray, Files]:
    """Embeddings of all images of a source, those of unchanged files from a table.

    They are those of embedding all images again, bit for bit if the encoder is exactly the same:
    an embedding does not depend on the rest of its batch, because all batches have one size.

    Args:
        table_path: of the table; if there is none, all images are embedded.
        encoder: embeds new images.
        origin: what a table made now would record.
        source: N images.
        files: of the images.

    Returns:
        (N, D) float32; and the files, with all checksums that are known now.

    Raises:
        UserError: if the table was made by another encoder, or does not record by which.
    """
    if not table_path.is_file():
        logger.info("There is no %s yet: all images are embedded.", table_path)
        return embed_source(encoder, source, origin.batch_size), files
    table = read_table(table_path, FILE_COLUMNS, argument="output")
    _check_origin(table, encoder, origin)
    changes = find_changes(table, source.names or [], files)
    logger.info(
        "%s images kept, %s new, %s changed, %s removed since %s was written.",
        *(f"{count:,}" for count in changes[2:]), table_path,
    )  # fmt: skip
    embeddings = np.empty((len(source), table.embeddings.shape[1]), np.float32)
    is_kept = changes.rows >= 0
    embeddings[is_kept] = table.embeddings[changes.rows[is_kept]]
    if not is_kept.all():
        others = source.take(np.flatnonzero(~is_kept))
        embeddings[~is_kept] = embed_source(encoder, others, origin.batch_size)
    return embeddings, changes.files


def _check_origin(table: Table, encoder: ExportedEncoder, now: Origin) -> None:
    """Refuses a table that was made differently; warns if last digits may differ."""
    before = origin_of(table.metadata)
    if before is None or any(name not in table.columns for name in FILE_COLUMNS):
        raise UserError(
            f"{table.path} does not say which encoder and files made it, as tables of this version "
            "do: leave out ", Argument("update", True), " to embed all photos again.",
        )  # fmt: skip
    if before.layer != now.layer:
        raise UserError(
            f"{table.path} holds features of the layer {before.layer or 'that the encoder ends in'}"
            f", but those of {now.layer or 'the last one'} are requested now: name that layer, or "
            "leave out ", Argument("update", True), " to embed all photos again.",
        )  # fmt: skip
    is_exact = check_same(table.path, before, encoder, TOLERANCE)
    _check_rows(table, encoder)
    if before.images != now.images:
        logger.warning("%s was made from %s, not %s.", table.path, before.images, now.images)
    if before.batch_size != now.batch_size or not is_exact:
        logger.warning(
            "The kept embeddings may differ from new ones in their last digits: they were made %s.",
            "on another machine" if before.batch_size == now.batch_size
            else f"in batches of {before.batch_size}",
        )  # fmt: skip


def _check_rows(table: Table, encoder: ExportedEncoder) -> None:
    """Refuses embeddings that are not the ones that were written."""
    width, fault = table.embeddings.shape[1], ""
    if width != encoder.embedding_dim:
        fault = f"{width} values per image, but its encoder gives {encoder.embedding_dim}"
    elif table.metadata.get("rows") not in (None, fingerprint(table.embeddings)):
        fault = "embeddings that do not match its metadata"
    if fault:
        raise BrokenFile(
            f"{table.path} holds {fault}: restore it, or leave out ", Argument("update", True),
            " to embed all photos again.",
        )  # fmt: skip


def find_changes(table: Table, names: list[str], files: Files) -> Changes:
    """Finds the images whose files have not changed since a table was written.

    A file is unchanged if its size is the same and its content has the same checksum. If reading
    all files would take minutes, the checksum is read only where the modification time differs.

    Args:
        table: with its columns of files.
        names: N, of the images now.
        files: of the images now.
    """
    keys = clean_texts(names)
    rows = _matching_rows(table.paths, keys)
    found = rows >= 0
    sizes, mtimes, checksums = (np.asarray(table.columns[name]) for name in FILE_COLUMNS)
    same = found & (files.sizes == sizes[rows])
    if files.checksums is not None:
        same &= files.checksums == checksums[rows]
    else:
        files, is_equal = _compare_checksums(files, same, mtimes[rows], checksums[rows])
        same &= is_equal
    removed = len(table) - int(found.sum())
    kept, changed = int(same.sum()), int((found & ~same).sum())
    new = len(names) - kept - changed
    return Changes(np.where(same, rows, -1), files, kept, new, changed, removed)


def _matching_rows(before: list[str], now: list[str]) -> np.ndarray:
    """(N,) int64, row of each name; -1 if there is none, or several are written alike."""
    counts = [collections.Counter(names) for names in (before, now)]
    places = {name: row for row, name in enumerate(before)}
    for name in places:
        if max(count[name] for count in counts) > 1:
            places[name] = -1
    return np.array([places.get(name, -1) for name in now], np.int64)


def _compare_checksums(
    files: Files, candidates: np.ndarray, mtimes: np.ndarray, checksums: np.ndarray
) -> tuple[Files, np.ndarray]:
    """The files with all checksums, read unless the earlier one is valid; (N,) whether equal."""
    is_known = candidates & (files.mtimes == mtimes)
    now = np.where(is_known, checksums, 0)
    read = np.flatnonzero(~is_known)
    now[read] = read_checksums([files.paths[row] for row in read])
    return files._replace(checksums=now), now == checksums
