"""Finds the clusters of a collection, in a given or chosen number, and writes their files."""

from __future__ import annotations

import os
from pathlib import Path

from and_tf.collection.clusters.choosing import (
    check_number_of_images,
    choose_number,
    numbers_compared,
    print_candidates,
    write_candidates,
)
from and_tf.collection.clusters.contact_sheets import check_sheets_folder, write_contact_sheets
from and_tf.collection.clusters.copying import check_copies, check_copies_place, copy_clusters
from and_tf.collection.clusters.found import Clusters
from and_tf.collection.clusters.representatives import representatives
from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.groups import Duplicates
from and_tf.collection.files import paths_of
from and_tf.collection.settings import ClusterSettings
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, UserError
from and_tf.evaluation.clustering import clusters
from and_tf.runs.places import check_place, expanded


def find_clusters(
    settings: ClusterSettings, collection: Collection, duplicates: Duplicates | None, seed: int
) -> Clusters | None:
    """The clusters of a collection; None if none are wanted."""
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


def check_cluster_places(settings: ClusterSettings, table: Path, images: Path) -> None:
    """Refuses an unsuitable place for copies or pictures before the images are read.

    Raises:
        UserError: if one is unsuitable.
    """
    if not settings.are_wanted:
        return
    sheets = sheets_path(table)
    check_sheets_folder(sheets)
    if settings.number is None:
        check_place("output", candidates_path(table))
    if not settings.copy_clusters_to:
        return
    folder = expanded(settings.copy_clusters_to)
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(sheets)):
        raise UserError(
            Argument("copy_clusters_to", settings.copy_clusters_to), f": {sheets} is replaced by "
            "the pictures of the clusters: name another folder for the copies.",
        )  # fmt: skip
    check_copies_place(folder, images, settings.link_clusters)


def check_clusters(settings: ClusterSettings, images: Path, source: Source) -> None:
    """Refuses an unsuitable number of clusters or folder for copies before hours of work.

    Raises:
        UserError: if one is unsuitable.
    """
    if not settings.are_wanted:
        return
    if settings.number is not None and settings.number > len(source):
        raise UserError(
            Argument("clusters", settings.number), f" exceeds the number of images, {len(source)} "
            f"in {images}: lower it or add images.",
        )  # fmt: skip
    if settings.number is None:
        check_number_of_images(len(source))
    if settings.copy_clusters_to:
        folder = expanded(settings.copy_clusters_to)
        numbers = [settings.number] if settings.number else numbers_compared(len(source))
        check_copies(folder, paths_of(source), settings.link_clusters, numbers)


def write_clusters(
    settings: ClusterSettings, collection: Collection, found: Clusters, table: Path
) -> None:
    """Writes and prints the clusters, and copies their images if that was asked for."""
    if found.candidates:
        print_candidates(found.candidates, found.chosen)
        path = write_candidates(candidates_path(table), found.candidates, found.chosen)
        print(f"{found.reason} Numbers compared: {path}")
    folder = write_contact_sheets(
        sheets_path(table), collection.source, found.numbers, found.representatives
    )
    print(f"{found.count} clusters, a picture of each: {folder}")
    if settings.copy_clusters_to:
        target = expanded(settings.copy_clusters_to)
        paths = paths_of(collection.source)
        copied = copy_clusters(target, paths, found.numbers, settings.link_clusters)
        print(f"{copied:,} images {'linked' if settings.link_clusters else 'copied'} to {target}")


def candidates_path(table: Path) -> Path:
    """Path of the list of the numbers of clusters that were compared for a table."""
    return table.with_suffix(".clusters.csv")


def sheets_path(table: Path) -> Path:
    """Folder of the contact sheets that belong to a table."""
    return table.with_suffix(".clusters")
