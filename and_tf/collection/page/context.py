"""The data from which all sections of a folder's page are built."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.moving import plan_moves
from and_tf.collection.findings import Findings
from and_tf.collection.page.commands import Command
from and_tf.collection.page.thumbnails import Thumbnails
from and_tf.collection.settings import EmbedSettings
from and_tf.data.subsets import evenly_spaced, has_labels
from and_tf.report.page.originals import original_urls, relative_url, shown_name
from and_tf.report.page.photos import Photo
from and_tf.report.spread import Spread, measure_spread
from and_tf.runs.places import expanded

MOST_MEASURED = 5_000  # photos whose spread is measured


@dataclasses.dataclass(frozen=True, eq=False)
class PageContext:
    """A collection as the sections of its page see it.

    Attributes:
        collection: the photos.
        findings: what was found in them.
        settings: what was asked for.
        table: the table that the page belongs to.
        page: the file.
        thumbnails: of all photos.
        commands: for the reader; the first wrote the page.
    """

    collection: Collection
    findings: Findings
    settings: EmbedSettings
    table: Path
    page: Path
    thumbnails: Thumbnails
    commands: Sequence[Command] = ()

    def __len__(self) -> int:
        return len(self.collection)

    @functools.cached_property
    def names(self) -> list[str]:
        """N names of the photos, as text."""
        return [shown_name(name) for name in self.collection.names]

    @functools.cached_property
    def urls(self) -> list[str] | None:
        """Addresses of the N photos' files, relative to the page; None if photos are not files.

        Duplicates that are moved once the page is written have their new address.
        """
        urls = original_urls(self.collection.source, self.page.parent)
        if urls is None or self.moved_to is None:
            return urls
        images = self.settings.collection.folder
        rows = {images.absolute() / name: row for row, name in enumerate(self.collection.names)}
        groups = self.findings.duplicates.groups if self.findings.duplicates is not None else []
        for move in plan_moves(images, self.collection.names, groups, self.moved_to):
            urls[rows[move.source]] = relative_url(move.target, self.page.parent)
        return urls

    @property
    def moved_to(self) -> Path | None:
        """Where superfluous duplicates go once the page is written; None if they stay."""
        chosen = self.settings.duplicates
        if chosen.dry_run or not chosen.move_duplicates_to:
            return None
        return expanded(chosen.move_duplicates_to)

    @functools.cached_property
    def spread(self) -> Spread | None:
        """The spread of the embeddings; None for a single photo."""
        if len(self) < 2:
            return None
        rows = evenly_spaced(len(self), MOST_MEASURED)
        return measure_spread(self.collection.embeddings[rows])

    def commands_of(self, section: str) -> list[Command]:
        """The commands that a section shows."""
        return [command for command in self.commands if command.section == section]

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """(N,) int, number of each photo's class; -1 for none."""
        labels = self.collection.source.labels
        return np.full(len(self), -1) if labels is None else np.asarray(labels).astype(int)

    @property
    def is_labelled(self) -> bool:
        """Whether the photos have labels of more than one class."""
        return has_labels(self.labels) and len(np.unique(self.labels[self.labels >= 0])) > 1

    @functools.cached_property
    def classes(self) -> list[str]:
        """Names of the labels; empty if photos have none."""
        if not self.is_labelled:
            return []
        given = self.collection.source.class_names or []
        count = max(len(given), int(self.labels.max()) + 1)
        return [shown_name(str(given[i])) if i < len(given) else str(i) for i in range(count)]

    def class_name(self, index: int) -> str:
        """The name of a photo's class, or an empty string."""
        label = int(self.labels[index])
        return self.classes[label] if self.classes and label >= 0 else ""

    def photo(self, index: int, detail: str = "", is_kept: bool = False) -> Photo:
        """A photo on the page, which the explorer shows when it is chosen."""
        return Photo(
            src=self.thumbnails.address(index),
            name=self.names[index],
            label=self.class_name(index),
            index=int(index),
            is_kept=is_kept,
            detail=detail,
        )

    def near(self, index: int, at_most: int) -> list[Photo]:
        """The nearest neighbours of a photo, nearest first."""
        collection = self.collection
        own = int(self.labels[index])
        photos = []
        for place, other in enumerate(collection.neighbours[index, :at_most].tolist()):
            its = int(self.labels[other])
            photos.append(
                dataclasses.replace(
                    self.photo(other),
                    rank=place + 1,
                    cosine=float(collection.similarity[index, place]),
                    is_wrong=bool(self.classes) and min(own, its) >= 0 and own != its,
                )
            )
        return photos
