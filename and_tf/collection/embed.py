"""Embeds a folder of images: table, page, near-duplicates, clusters and a picture of neighbours."""

import dataclasses
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from and_tf.collection.choice import choose_model
from and_tf.collection.clusters.finding import (
    check_cluster_places,
    check_clusters,
    find_clusters,
    write_clusters,
)
from and_tf.collection.collection import Collection, search_neighbours
from and_tf.collection.columns import Values
from and_tf.collection.duplicates.groups import find_duplicates
from and_tf.collection.duplicates.listing import duplicates_path, write_duplicates
from and_tf.collection.duplicates.moving import check_target, move_duplicates
from and_tf.collection.encoder import embed_source, open_encoder
from and_tf.collection.files import file_columns, files_of, with_checksums
from and_tf.collection.findings import Findings
from and_tf.collection.gallery import check_gallery, save_gallery
from and_tf.collection.kept_pictures import KeptPictures, kept_path, read_kept, write_kept
from and_tf.collection.labels import with_folder_labels
from and_tf.collection.origin import Origin, encoded, model_place, reference_embeddings
from and_tf.collection.outliers import find_outliers
from and_tf.collection.page.commands import Command
from and_tf.collection.page.thumbnails import encode_new_thumbnails
from and_tf.collection.page.write import check_page, page_path, write_page
from and_tf.collection.pictures import Pictures, read_pictures
from and_tf.collection.quality import measure_quality
from and_tf.collection.settings import CollectionSettings, EmbedSettings
from and_tf.collection.summary import finding_columns, print_findings
from and_tf.collection.suspect_labels import find_suspect_labels
from and_tf.collection.table import check_table_path, write_table
from and_tf.collection.update import recorded_origin, updated_embeddings
from and_tf.data.large_images import limit_megapixels
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.list_file import open_list
from and_tf.data.sources.source import Source
from and_tf.encoders.stages import AUTO_LAYER
from and_tf.errors import Argument, UserError
from and_tf.export import ExportedEncoder
from and_tf.runs.places import check_place, expanded, make_folder_of

SEARCHED_NEIGHBOURS = 50  # of each image, for outliers, suspect labels, near-duplicates, pages

logger = logging.getLogger(__name__)


def embed_folder(settings: EmbedSettings, commands: Sequence[Command] = ()) -> Path:
    """Embeds every image of a folder and writes the table, its page, and whatever else is wanted.

    Args:
        settings: images, encoder and what to write.
        commands: shown on the page.

    Returns:
        The path of the table, which a dry run does not write.

    Raises:
        UserError: if the folder, the model, a path or a number is unsuitable; an old table stays.
    """
    limit_megapixels(settings.collection.max_image_megapixels)
    table = check_table_path(expanded(settings.collection.output))
    _check_places(settings, table)
    page = check_page(settings.page, table)
    images = settings.collection.folder
    check_cluster_places(settings.clusters, table, images)
    source = _open_images(settings)
    check_clusters(settings.clusters, images, source)
    settings = _with_model(settings)
    collection = embed_images(settings, source)
    kept = _kept(settings, collection, table)
    pictures = read_pictures(source, *(kept[:2] if kept else ()))
    if settings.duplicates.move_duplicates_to and settings.duplicates.dry_run:
        found = find_duplicates(collection, pictures, settings.duplicates.duplicate_similarity)
        _move(settings, collection, Findings(found))
        return table
    findings = analyse(settings, collection, pictures)
    collection = dataclasses.replace(collection, files=with_checksums(collection.files))
    _write(settings, collection, pictures, findings, table)
    known = kept.thumbnails() if kept else []
    encoded = [each or b"" for each in known]
    if page is not None:
        encoded = encode_new_thumbnails(source, known)
        write_page(page, collection, findings, settings, table, commands, encoded)
        print(f"Page: {page} ({page.stat().st_size / 1e6:.1f} MB)")
    write_kept(kept_path(table), collection, pictures, encoded)
    if settings.duplicates.move_duplicates_to:
        _move(settings, collection, findings)
    return table


def _kept(settings: EmbedSettings, collection: Collection, table: Path) -> KeptPictures | None:
    """What an update already knows about the photos."""
    if not settings.collection.update:
        return None
    return read_kept(kept_path(table), collection.names, collection.files)


def _with_model(settings: EmbedSettings) -> EmbedSettings:
    """The settings with an encoder, which is trained first if there is none."""
    chosen = settings.collection
    if chosen.model and chosen.init and chosen.model != chosen.init:
        raise UserError(
            Argument("model", chosen.model), " and ", Argument("init", chosen.init),
            " each name an encoder: leave one of them out.",
        )  # fmt: skip
    chosen = dataclasses.replace(chosen, model=chosen.model or chosen.init, init="")
    origin = recorded_origin(expanded(chosen.output)) if chosen.update else None
    if origin and not chosen.model:  # the newest run may be another one
        chosen = dataclasses.replace(chosen, model=origin.model, checkpoint=origin.checkpoint)
    if origin and origin.layer and chosen.layer == AUTO_LAYER:
        chosen = dataclasses.replace(chosen, layer=origin.layer)
    images = chosen.folder
    is_dry = settings.duplicates.dry_run
    model = choose_model(chosen.model, images, chosen.skip_broken, may_train=not is_dry)
    return dataclasses.replace(settings, collection=dataclasses.replace(chosen, model=model))


def embed_images(settings: EmbedSettings, source: Source) -> Collection:
    """The images with their embeddings and nearest neighbours."""
    chosen = settings.collection
    encoder = open_encoder(chosen.model, chosen.checkpoint, chosen.layer, chosen.trust_model)
    origin = _origin(settings, encoder)
    files = files_of(source)
    if chosen.update and files is None:
        logger.warning(
            "%s has no effect: these images are not files, so it is unknown which have changed. "
            "All are embedded.", Argument("update", True),
        )  # fmt: skip
    if chosen.update and files is not None:
        table = expanded(chosen.output)
        embeddings, files = updated_embeddings(table, encoder, origin, source, files)
    else:
        embeddings = embed_source(encoder, source, chosen.batch_size)  # (N, D)
    wanted = chosen.neighbours_of(len(source))
    searched = min(max(wanted, SEARCHED_NEIGHBOURS), len(source) - 1)
    return Collection(source, embeddings, *search_neighbours(embeddings, searched), origin, files)


def _origin(settings: EmbedSettings, encoder: ExportedEncoder) -> Origin:
    """What made the table, for its metadata."""
    chosen = settings.collection
    return Origin(
        images=str(chosen.folder.absolute()),
        model=model_place(chosen.model),
        checkpoint=chosen.checkpoint,
        layer=chosen.layer,
        image_size=encoder.image_size,
        batch_size=chosen.batch_size,
        reference=encoded(reference_embeddings(encoder)),
    )


def analyse(settings: EmbedSettings, collection: Collection, pictures: Pictures) -> Findings:
    """Runs all analyses of a collection."""
    duplicates = find_duplicates(collection, pictures, settings.duplicates.duplicate_similarity)
    return Findings(
        duplicates,
        measure_quality(pictures),
        find_outliers(collection),
        find_suspect_labels(collection),
        find_clusters(settings.clusters, collection, duplicates, settings.collection.seed),
    )


def _write(
    settings: EmbedSettings,
    collection: Collection,
    pictures: Pictures,
    findings: Findings,
    table: Path,
) -> None:
    write_table(
        table,
        collection.names,
        collection.embeddings,
        _columns(settings.collection.neighbours_of(len(collection)), collection, findings),
        collection.origin.metadata() if collection.origin else None,
    )
    print(f"{len(collection):,} images, {collection.embeddings.shape[1]} values each: {table}")
    assert findings.duplicates is not None
    groups = findings.duplicates.groups
    listed = write_duplicates(duplicates_path(table), groups, collection, pictures)
    print_findings(collection, findings, listed)
    if findings.clusters is not None:
        write_clusters(settings.clusters, collection, findings.clusters, table)
    if settings.page.gallery and collection.neighbours.shape[1]:
        save_gallery(
            make_folder_of(expanded(settings.page.gallery)),
            collection.source,
            collection.neighbours,
            settings.page.gallery_rows,
            settings.collection.seed,
        )


def _move(settings: EmbedSettings, collection: Collection, findings: Findings) -> None:
    assert findings.duplicates is not None
    move_duplicates(
        settings.collection.folder,
        collection.names,
        findings.duplicates.groups,
        expanded(settings.duplicates.move_duplicates_to),
        settings.duplicates.dry_run,
    )


def _columns(num_neighbours: int, collection: Collection, findings: Findings) -> dict[str, Values]:
    """Columns of the table other than paths and embeddings."""
    columns: dict[str, Values] = {**file_columns(collection.files)}
    columns |= finding_columns(collection, findings)
    if num_neighbours:
        columns["neighbours"] = collection.neighbours[:, :num_neighbours]
        columns["similarity"] = collection.similarity[:, :num_neighbours]
    if findings.clusters is not None:
        columns["cluster"] = findings.clusters.numbers
    return columns


def _open_images(settings: EmbedSettings) -> Source:
    """Opens the images; refuses a number of neighbours that they do not have."""
    chosen, gallery = settings.collection, settings.page.gallery
    if chosen.list_file is not None:
        source = _open_list(chosen.list_file, chosen)
        _check_numbers(settings, source)
        return source if source.labels is not None else with_folder_labels(source)
    if chosen.crop_to_box:
        raise UserError(
            Argument("crop_to_box", True), " needs bounding boxes, which a folder does not have: "
            "leave it out, or name the images with their boxes by list:FILE as ",
            Argument("images"), ".",
        )  # fmt: skip
    source = open_folder(
        chosen.folder,
        skip_broken=chosen.skip_broken,
        decode=True,
        excluded=[expanded(gallery)] if gallery else [],
    )
    _check_numbers(settings, source)
    return with_folder_labels(source)


def _open_list(file: Path, chosen: CollectionSettings) -> EncodedSource:
    """The images of a list; refuses any outside its folder, as names are paths relative to it."""
    try:
        source = open_list(file, chosen.skip_broken, chosen.crop_to_box)
    except UserError as error:
        raise error.renamed({"data": "images"}) from error
    for name in source.names or []:
        if os.path.isabs(name) or ".." in name.split("/"):
            raise UserError(
                Argument("images", f"list:{file}"), f" names {name}, which is outside "
                f"{file.parent}: put the list into a folder that contains all its images.",
            )  # fmt: skip
    return source


def _check_places(settings: EmbedSettings, table: Path) -> None:
    """Refuses paths that cannot be written."""
    if target := settings.duplicates.move_duplicates_to:
        images = settings.collection.folder
        check_target(images, expanded(target))
    chosen = settings.page.gallery
    if chosen and not chosen.endswith(".png"):
        raise UserError(Argument("gallery", chosen), " must end in .png.")
    beside = (table, duplicates_path(table), kept_path(table))
    places = [("output", path) for path in beside]
    places += [("gallery", expanded(chosen))] if chosen else []
    page = page_path(settings.page, table)
    places += [("page", page)] if page is not None else []
    for name, path in places:
        check_place(name, path)
    if chosen:
        check_gallery(expanded(chosen), settings.collection.folder)


def _check_numbers(settings: EmbedSettings, source: Source) -> None:
    """Refuses a number of neighbours that is too large before hours of work."""
    images = f"the number of images, {len(source)} in {settings.collection.images}"
    if (settings.collection.neighbours or 0) >= len(source):
        raise UserError(
            Argument("neighbours", settings.collection.neighbours),
            f" must be smaller than {images}: lower it or add images.",
        )
