"""Clusters of a collection, as many as asked for or as it has, and what is written of them."""

from __future__ import annotations

from pathlib import Path

from and_tf.collection.clusters.choosing import (
    check_number_of_images,
    choose_number,
    print_candidates,
    write_candidates,
)
from and_tf.collection.clusters.contact_sheets import check_sheets_folder, write_contact_sheets
from and_tf.collection.clusters.copying import check_copies_folder, copy_clusters
from and_tf.collection.clusters.found import Clusters
from and_tf.collection.clusters.representatives import representatives
from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.groups import Duplicates
from and_tf.collection.files import paths_of
from and_tf.collection.settings import ClusterSettings
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, UserError
from and_tf.evaluation.clustering import clusters


def find_clusters(
    settings: ClusterSettings, collection: Collection, duplicates: Duplicates | None, seed: int
) -> Clusters | None:
    """The clusters of a collection; None where none are asked for."""
    if not settings.are_wanted:
        return None
    embeddings = collection.embeddings
    choice, number = None, settings.number
    if number is None:
        choice = choose_number(embeddings, seed)
        number = choice.number
    numbers = clusters(embeddings, number, seed)
    groups = [group.members for group in duplicates.groups] if duplicates else []
    pairs = [pair[:2] for pair in duplicates.pairs] if duplicates else []
    shown = representatives(embeddings, numbers, [*groups, *pairs])
    if choice is None:
        return Clusters(numbers, representatives=shown)
    return Clusters(numbers, choice.candidates, choice.reason, shown, choice.number)


def check_clusters(settings: ClusterSettings, table: Path, images: Path, source: Source) -> None:
    """Refuses a number, or a place for copies or pictures, before hours of work.

    Raises:
        UserError: if one does not fit.
    """
    if not settings.are_wanted:
        if settings.copy_clusters_to:
            raise UserError(
                Argument("copy_clusters_to", settings.copy_clusters_to), " needs clusters: add ",
                Argument("clusters", "auto"), " or a number.",
            )  # fmt: skip
        return
    if settings.number is not None and settings.number > len(source):
        raise UserError(
            Argument("clusters", settings.number), f" exceeds the number of images, {len(source)} "
            f"in {images}: lower it or add images.",
        )  # fmt: skip
    if settings.number is None:
        check_number_of_images(len(source))
    check_sheets_folder(sheets_path(table))
    if settings.copy_clusters_to:
        folder = Path(settings.copy_clusters_to).expanduser()
        paths = paths_of(source)
        check_copies_folder(folder, images, paths, settings.link_clusters, settings.number)


def write_clusters(
    settings: ClusterSettings, collection: Collection, found: Clusters, table: Path
) -> None:
    """Writes and prints what is known of the clusters, and copies them if that is asked for."""
    if found.candidates:
        print_candidates(found.candidates, found.chosen)
        path = write_candidates(table.with_suffix(".clusters.csv"), found.candidates, found.chosen)
        print(f"{found.reason} Numbers compared: {path}")
    folder = write_contact_sheets(
        sheets_path(table), collection.source, found.numbers, found.representatives
    )
    print(f"{found.count} clusters, a picture of each: {folder}")
    if settings.copy_clusters_to:
        target = Path(settings.copy_clusters_to).expanduser()
        paths = paths_of(collection.source)
        copied = copy_clusters(target, paths, found.numbers, settings.link_clusters)
        print(f"{copied:,} images {'linked' if settings.link_clusters else 'copied'} to {target}")


def sheets_path(table: Path) -> Path:
    """Folder of the contact sheets that belong to a table."""
    return table.with_suffix(".clusters")
