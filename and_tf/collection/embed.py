"""A folder of images, embedded: table, near-duplicates, clusters and a picture of neighbours."""

from pathlib import Path

import numpy as np

from and_tf.collection.duplicates import (
    duplicates_path,
    near_duplicates,
    print_duplicates,
    write_duplicates,
)
from and_tf.collection.gallery import save_gallery
from and_tf.collection.settings import CollectionSettings
from and_tf.collection.table import check_table_path, write_table
from and_tf.data.progress import progress_bar
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, BrokenFile, NotFound, UserError
from and_tf.evaluation.clustering import clusters
from and_tf.export import ExportedEncoder, load_exported
from and_tf.runs.restore import load_encoder
from and_tf.runs.workdir import Workdir, newest_run
from and_tf.search.nearest import nearest_others

SEARCHED_NEIGHBOURS = 10  # of each image, for near-duplicates and the gallery


def embed_folder(settings: CollectionSettings) -> Path:
    """Embeds every image of a folder and writes the table, and what else is asked for.

    Args:
        settings: images, encoder and what to write.

    Returns:
        The path of the table.

    Raises:
        UserError: if the folder, the model, a place or a number does not fit; an older table stays.
    """
    table = check_table_path(Path(settings.output).expanduser())
    gallery = _checked_gallery(settings, table)
    source = open_folder(Path(settings.images).expanduser(), skip_broken=settings.skip_broken)
    _check_numbers(settings, source)
    encoder = open_encoder(settings.model, settings.checkpoint)
    embeddings = embed_source(encoder, source, settings.batch_size)  # (N, D)
    if not np.isfinite(embeddings).all():
        model = settings.model or "the encoder of the newest run"
        raise BrokenFile(f"{model} gives NaN embeddings: it is corrupt, export it anew.")
    searched = min(max(settings.neighbours, SEARCHED_NEIGHBOURS), len(source) - 1)
    indices, similarity = _neighbours(embeddings, searched)  # (N, m) each
    columns = {}
    if settings.neighbours:
        columns["neighbours"] = indices[:, : settings.neighbours]
        columns["similarity"] = similarity[:, : settings.neighbours]
    if settings.clusters:
        columns["clusters"] = clusters(embeddings, settings.clusters, seed=settings.seed)
    write_table(table, source.names or [], embeddings, **columns)
    print(f"{len(source):,} images, {embeddings.shape[1]} values each: {table}")
    pairs = near_duplicates(indices, similarity, settings.duplicate_similarity)
    path = write_duplicates(duplicates_path(table), pairs, source.names or [])
    print(
        f"{len(pairs):,} pairs at least {settings.duplicate_similarity:g} similar, among the "
        f"{searched} nearest of each image: {path}"
    )
    print_duplicates(pairs, source.names or [])
    if gallery and searched:
        save_gallery(gallery, source, indices, settings.gallery_rows, settings.seed)
    return table


def open_encoder(model: str, checkpoint: str = "last") -> ExportedEncoder:
    """An exported encoder, or the one of a run.

    Args:
        model: path of an export or of a run's folder; empty for the newest run.
        checkpoint: of a run: `last`, `best` or `round_N`.

    Raises:
        UserError: if there is no such model or checkpoint, or if it is corrupt.
    """
    path = Path(model).expanduser() if model else newest_run().path
    if Workdir(path).flags.is_file():
        encoder = load_encoder(path, checkpoint)
        return ExportedEncoder(
            encoder.predict_on_batch, encoder.input_shape[1], encoder.output_shape[-1]
        )
    if checkpoint != "last":
        raise UserError(
            Argument("checkpoint", checkpoint), f" is of a run, and {path} is none: leave it out."
        )
    return load_exported(path)


def embed_source(encoder: ExportedEncoder, source: Source, batch_size: int) -> np.ndarray:
    """Embeddings (N, D) float32 of all images of a source, in its order."""
    embeddings = np.empty((len(source), encoder.embedding_dim), np.float32)
    with progress_bar(len(source), "embedding images") as bar:
        for start in range(0, len(source), batch_size):
            indices = np.arange(start, min(start + batch_size, len(source)))
            embeddings[indices] = encoder(source.load(indices, encoder.image_size))
            bar.update(len(indices))
    return embeddings


def _neighbours(embeddings: np.ndarray, searched: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and cosines (N, searched) of the nearest other images."""
    if not searched:  # a single image
        return np.empty((len(embeddings), 0), np.int32), np.empty((len(embeddings), 0), np.float32)
    indices, similarity = nearest_others(embeddings, searched, progress=True)
    return indices, np.clip(similarity, -1, 1)


def _checked_gallery(settings: CollectionSettings, table: Path) -> Path | None:
    """Where the gallery goes; refuses places where nothing could be written."""
    if settings.gallery and not settings.gallery.endswith(".png"):
        raise UserError(Argument("gallery", settings.gallery), " must end in .png.")
    gallery = Path(settings.gallery).expanduser() if settings.gallery else None
    places = [("output", table), ("output", duplicates_path(table))]
    for name, path in [*places, *([("gallery", gallery)] if gallery else [])]:
        folder = path.absolute().parent
        if not folder.is_dir():
            raise NotFound(Argument(name), f": the folder {folder} does not exist: create it.")
        if path.is_dir():
            raise UserError(
                Argument(name), f": {path} is a directory: give another name or remove it."
            )
    return gallery


def _check_numbers(settings: CollectionSettings, source: Source) -> None:
    """Refuses numbers that do not fit before hours of work."""
    if settings.neighbours >= len(source):
        raise UserError(
            Argument("neighbours", settings.neighbours),
            f" must be smaller than the number of images, {len(source)} in {settings.images}: "
            "lower it or add images.",
        )
    if settings.clusters > len(source):
        raise UserError(
            Argument("clusters", settings.clusters),
            f" exceeds the number of images, {len(source)} in {settings.images}: lower it or add "
            "images.",
        )
