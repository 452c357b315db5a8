"""A folder of images, embedded: table, near-duplicates, clusters and a picture of neighbours."""

import dataclasses
from pathlib import Path

import numpy as np

from and_tf.collection.choice import choose_model
from and_tf.collection.clusters.finding import check_clusters, find_clusters, write_clusters
from and_tf.collection.collection import Collection, search_neighbours
from and_tf.collection.duplicates.groups import Duplicates
from and_tf.collection.duplicates.pairs import (
    duplicates_path,
    near_duplicates,
    print_duplicates,
    write_duplicates,
)
from and_tf.collection.encoder import embed_source, open_encoder
from and_tf.collection.files import file_columns, files_of
from and_tf.collection.findings import Findings
from and_tf.collection.gallery import save_gallery
from and_tf.collection.origin import Origin, encoded, model_place, reference_embeddings
from and_tf.collection.settings import EmbedSettings
from and_tf.collection.table import check_table_path, write_table
from and_tf.collection.update import recorded_origin, updated_embeddings
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, UserError
from and_tf.export import ExportedEncoder
from and_tf.runs.places import check_place, make_folder_of

SEARCHED_NEIGHBOURS = 10  # of each image, for near-duplicates and the gallery


def embed_folder(settings: EmbedSettings) -> Path:
    """Embeds every image of a folder and writes the table, and what else is asked for.

    Args:
        settings: images, encoder and what to write.

    Returns:
        The path of the table.

    Raises:
        UserError: if the folder, the model, a place or a number does not fit; an older table stays.
    """
    table = check_table_path(Path(settings.collection.output).expanduser())
    _check_places(settings, table)
    source = _open_images(settings)
    check_clusters(settings.clusters, table, Path(settings.collection.images).expanduser(), source)
    settings = _with_model(settings)
    collection = embed_images(settings, source)
    findings = analyse(settings, collection)
    _write(settings, collection, findings, table)
    return table


def _with_model(settings: EmbedSettings) -> EmbedSettings:
    """The settings with an encoder, which is trained first where there is none."""
    chosen = settings.collection
    origin = recorded_origin(Path(chosen.output).expanduser()) if chosen.update else None
    if origin and not chosen.model:  # the newest run may be another one
        chosen = dataclasses.replace(chosen, model=origin.model, checkpoint=origin.checkpoint)
    model = choose_model(chosen.model, Path(chosen.images).expanduser(), chosen.skip_broken)
    return dataclasses.replace(settings, collection=dataclasses.replace(chosen, model=model))


def embed_images(settings: EmbedSettings, source: Source) -> Collection:
    """The images with their embeddings and nearest others."""
    chosen = settings.collection
    encoder = open_encoder(chosen.model, chosen.checkpoint)
    origin = _origin(settings, encoder)
    files = files_of(source)
    if chosen.update and files is not None:
        table = Path(chosen.output).expanduser()
        embeddings, files = updated_embeddings(table, encoder, origin, source, files)
    else:
        embeddings = embed_source(encoder, source, chosen.batch_size)  # (N, D)
    searched = min(max(chosen.neighbours, SEARCHED_NEIGHBOURS), len(source) - 1)
    return Collection(source, embeddings, *search_neighbours(embeddings, searched), origin, files)


def _origin(settings: EmbedSettings, encoder: ExportedEncoder) -> Origin:
    """What made the table, as it says itself."""
    chosen = settings.collection
    return Origin(
        images=str(Path(chosen.images).expanduser().absolute()),
        model=model_place(chosen.model),
        checkpoint=chosen.checkpoint,
        layer="",
        image_size=encoder.image_size,
        batch_size=chosen.batch_size,
        reference=encoded(reference_embeddings(encoder)),
    )


def analyse(settings: EmbedSettings, collection: Collection) -> Findings:
    """What is found in a collection."""
    threshold = settings.duplicates.duplicate_similarity
    pairs = near_duplicates(collection.neighbours, collection.similarity, threshold)
    duplicates = Duplicates(pairs, [], threshold)
    found = find_clusters(settings.clusters, collection, duplicates, settings.collection.seed)
    return Findings(duplicates=duplicates, clusters=found)


def _write(
    settings: EmbedSettings, collection: Collection, findings: Findings, table: Path
) -> None:
    write_table(
        table,
        collection.names,
        collection.embeddings,
        _columns(settings.collection.neighbours, collection, findings),
        collection.origin.metadata() if collection.origin else None,
    )
    print(f"{len(collection):,} images, {collection.embeddings.shape[1]} values each: {table}")
    assert findings.duplicates is not None
    pairs, threshold = findings.duplicates.pairs, findings.duplicates.threshold
    path = write_duplicates(duplicates_path(table), pairs, collection.names)
    print(
        f"{len(pairs):,} pairs at least {threshold:g} similar, among the "
        f"{collection.neighbours.shape[1]} nearest of each image: {path}"
    )
    print_duplicates(pairs, collection.names)
    if findings.clusters is not None:
        write_clusters(settings.clusters, collection, findings.clusters, table)
    if settings.page.gallery and collection.neighbours.shape[1]:
        save_gallery(
            make_folder_of(Path(settings.page.gallery).expanduser()),
            collection.source,
            collection.neighbours,
            settings.page.gallery_rows,
            settings.collection.seed,
        )


def _columns(
    num_neighbours: int, collection: Collection, findings: Findings
) -> dict[str, np.ndarray]:
    """Columns of the table besides paths and embeddings."""
    columns = file_columns(collection.files)
    if num_neighbours:
        columns["neighbours"] = collection.neighbours[:, :num_neighbours]
        columns["similarity"] = collection.similarity[:, :num_neighbours]
    if findings.clusters is not None:
        columns["cluster"] = findings.clusters.numbers
    return columns


def _open_images(settings: EmbedSettings) -> Source:
    """The images, if the numbers that are asked for fit them."""
    images = settings.collection.images
    source = open_folder(Path(images).expanduser(), skip_broken=settings.collection.skip_broken)
    _check_numbers(settings, source)
    return source


def _check_places(settings: EmbedSettings, table: Path) -> None:
    """Refuses places where nothing could be written."""
    chosen = settings.page.gallery
    if chosen and not chosen.endswith(".png"):
        raise UserError(Argument("gallery", chosen), " must end in .png.")
    places = [("output", table), ("output", duplicates_path(table))]
    places += [("gallery", Path(chosen).expanduser())] if chosen else []
    for name, path in places:
        check_place(name, path)


def _check_numbers(settings: EmbedSettings, source: Source) -> None:
    """Refuses numbers that do not fit before hours of work."""
    images = f"the number of images, {len(source)} in {settings.collection.images}"
    if settings.collection.neighbours >= len(source):
        raise UserError(
            Argument("neighbours", settings.collection.neighbours),
            f" must be smaller than {images}: lower it or add images.",
        )
