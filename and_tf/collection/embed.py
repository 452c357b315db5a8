"""embed.py: embeddings, neighbours, near-duplicates and clusters of a folder of images."""

import csv
import os
import types
from pathlib import Path

import numpy as np
from tqdm import tqdm

from and_tf.collection.table import check_table_path, near_duplicates, nearest, write_table
from and_tf.data.picture import save_grid
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.source import Source
from and_tf.evaluation.clustering import clusters
from and_tf.export import ExportedEncoder, load_exported
from and_tf.runs.restore import load_encoder
from and_tf.runs.workdir import Workdir, newest_run

GALLERY_SIDE = 96  # pixels of a tile
GALLERY_NEIGHBOURS = 7
SEARCHED_NEIGHBOURS = 10  # of each image, for near-duplicates and the gallery


def embed_folder(options: types.SimpleNamespace) -> None:
    """Embeds every image of a folder and writes the table, and what else was asked for.

    Args:
        options: values of `flags.embed_flags()`.

    Raises:
        FileNotFoundError, ValueError: if the folder, the model or a number does not fit; an older
            table stays.
    """
    table = check_table_path(options.output)
    _check_outputs(options)
    source = open_folder(Path(options.images).expanduser(), skip_broken=options.skip_broken)
    _check_numbers(options, source)
    encoder = _open_encoder(options.model)
    embeddings = _embed(encoder, source, options.batch_size)  # (N, D)
    if not np.isfinite(embeddings).all():
        model = options.model or "the encoder of the newest run"
        raise ValueError(f"{model} gives NaN embeddings: it is damaged, export it anew.")
    searched = min(max(options.neighbours, SEARCHED_NEIGHBOURS), len(source) - 1)
    indices = similarity = np.empty((len(source), 0))
    if searched:
        indices, similarity = nearest(embeddings, searched)  # (N, m) each
    columns = {}
    if options.neighbours:
        columns["neighbours"] = indices[:, : options.neighbours]
        columns["similarity"] = similarity[:, : options.neighbours]
    if options.clusters:
        columns["clusters"] = clusters(embeddings, options.clusters, seed=options.seed)
    write_table(table, source.names, embeddings, **columns)
    print(f"{len(source):,} images, {embeddings.shape[1]} values each: {table}")
    pairs = near_duplicates(indices, similarity, options.duplicate_similarity)
    _list_duplicates(options, source, pairs, searched, _duplicates_path(table))
    if options.gallery and searched:
        _draw_gallery(options, source, indices)


def _check_outputs(options: types.SimpleNamespace) -> None:
    """Refuses places where nothing could be written."""
    if options.gallery and not options.gallery.endswith(".png"):
        raise ValueError(f"--gallery={options.gallery} must end in .png.")
    places = [("output", Path(options.output)), ("output", _duplicates_path(options.output))]
    if options.gallery:
        places.append(("gallery", Path(options.gallery)))
    for name, path in places:
        folder = path.absolute().parent
        if not folder.is_dir():
            raise FileNotFoundError(f"--{name}: the folder {folder} does not exist: create it.")
        if path.is_dir():
            raise ValueError(f"--{name}: {path} is a folder: give another name or remove it.")


def _duplicates_path(table: Path | str) -> Path:
    return Path(table).with_suffix(".duplicates.csv")


def _check_numbers(options: types.SimpleNamespace, source: Source) -> None:
    """Refuses numbers that do not fit before hours of work."""
    if options.neighbours >= len(source):
        raise ValueError(
            f"--neighbours={options.neighbours} must be smaller than the number of images, "
            f"{len(source)} in {options.images}."
        )
    if options.clusters > len(source):
        raise ValueError(
            f"--clusters={options.clusters} exceeds the number of images, {len(source)} in "
            f"{options.images}."
        )


def _open_encoder(model: str) -> ExportedEncoder:
    """An exported encoder, or the one of a run's last checkpoint."""
    path = Path(model) if model else newest_run().path
    if not Workdir(path).flags.is_file():
        return load_exported(path)
    encoder = load_encoder(path)
    return ExportedEncoder(
        lambda images: encoder.predict_on_batch(images),
        encoder.input_shape[1],
        encoder.output_shape[-1],
    )


def _embed(encoder: ExportedEncoder, source: Source, batch_size: int) -> np.ndarray:
    embeddings = np.empty((len(source), encoder.embedding_dim), np.float32)
    bar = tqdm(total=len(source), unit="image", desc="Embedding", disable=None)
    with bar:
        for start in range(0, len(source), batch_size):
            indices = np.arange(start, min(start + batch_size, len(source)))
            embeddings[indices] = encoder(source.load(indices, encoder.image_size))
            bar.update(len(indices))
    return embeddings


def _list_duplicates(options, source, pairs, searched: int, path: Path) -> None:
    """Writes pairs of almost equal images to a CSV file and shows the first."""
    temporary = path.with_name(path.name + ".partial")
    with open(temporary, "w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "other", "similarity"])
        writer.writerows((source.names[i], source.names[j], f"{s:.4f}") for i, j, s in pairs)
    os.replace(temporary, path)
    print(
        f"{len(pairs):,} pairs at least {options.duplicate_similarity:g} similar, among the "
        f"{searched} nearest of each image: {path}"
    )
    for i, j, s in pairs[:5]:
        print(f"  {s:.4f}  {source.names[i]}  {source.names[j]}".encode(errors="replace").decode())


def _draw_gallery(options, source, indices: np.ndarray) -> None:
    """Some images, one a row, each before its nearest."""
    rng = np.random.default_rng(options.seed)
    rows = np.sort(rng.permutation(len(source))[: options.gallery_rows])
    near = indices[rows, :GALLERY_NEIGHBOURS]
    order = np.concatenate([rows[:, None], near], axis=1)  # (rows, 1 + m)
    save_grid(source.load(order.ravel(), GALLERY_SIDE), options.gallery, columns=order.shape[1])
    print(f"{len(rows)} images, each before its {near.shape[1]} nearest: {options.gallery}")
