"""Settings of embed.py."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from and_tf.data.settings import MAX_MEGAPIXELS, MEGAPIXELS_HELP
from and_tf.encoders.stages import AUTO_LAYER, LAYER_HELP
from and_tf.errors import Argument
from and_tf.runs.places import expanded
from and_tf.settings import SettingError, Settings, at_least, between, build, setting

NEIGHBOURS = 10  # in the table, unless another number is given


@dataclasses.dataclass(frozen=True)
class CollectionSettings(Settings):
    """Images and encoder."""

    images: str = setting(
        "", "Folder of images, searched with its sub-folders, or list:FILE that names them."
    )
    crop_to_box: bool = setting(
        False, "Crop images to the bounding box that a list gives, before anything else."
    )
    model: str = setting(
        "",
        "Encoder: folder of a run, exported encoder or pretrained weights; by default the "
        "newest run on these images, else weights in Keras' cache, else a short run that is "
        "trained first.",
    )
    init: str = setting(
        "", "The same as model, by the name that pretrained weights have in training."
    )
    checkpoint: str = setting("last", "Checkpoint of a run: last, best or round_N.")
    layer: str = setting(AUTO_LAYER, LAYER_HELP)
    trust_model: bool = setting(
        False,
        "Open a SavedModel, which is a program, even if its files are not those that export.py "
        "wrote.",
    )
    output: str = setting("features.parquet", "Table to write: .parquet or .npz.")
    update: bool = setting(
        False, "Embed only photos that are new or changed since the table was written."
    )
    neighbours: int | None = setting(
        None,
        f"Nearest images of each image in the table; by default {NEIGHBOURS}, or all if there are "
        "fewer; 0: none.",
        at_least(0),
    )
    batch_size: int = setting(64, "Images embedded at once.", at_least(1))
    skip_broken: bool = setting(
        True, "Leave out images that cannot be decoded, and name them; else refuse the folder."
    )
    max_image_megapixels: int = setting(MAX_MEGAPIXELS, MEGAPIXELS_HELP, between(1, 100_000))
    seed: int = setting(
        0, "Seed of the clusters and of the gallery's choice.", between(0, 2**32 - 1)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_to_box and self.update:
            raise SettingError(
                Argument("update", True), " cannot tell that a box has changed: leave it out with ",
                Argument("crop_to_box", True), ".",
            )  # fmt: skip

    @property
    def list_file(self) -> Path | None:
        """The list that names the images; None if they are those of a folder."""
        kind, _, path = self.images.partition(":")
        return expanded(path).absolute() if kind == "list" and path else None

    @property
    def folder(self) -> Path:
        """The folder to which the images' paths are relative: that of the list, if there is one."""
        return self.list_file.parent if self.list_file else expanded(self.images)

    def neighbours_of(self, images: int) -> int:
        """How many neighbours per image the table holds, for a collection of `images` images."""
        return min(NEIGHBOURS, images - 1) if self.neighbours is None else self.neighbours


@dataclasses.dataclass(frozen=True)
class DuplicateSettings(Settings):
    """Near-duplicates."""

    duplicate_similarity: float = setting(
        0.0,
        "Lowest cosine at which two images are near-duplicates, by the encoder alone. 0: the "
        "encoder proposes pairs above a threshold that suits the folder, and their pixels decide.",
        between(0, 1),
    )
    move_duplicates_to: str = setting(
        "", "Move all images of a group except the one to keep to this folder, with a log."
    )
    dry_run: bool = setting(False, "Only print what would be moved; nothing is written.")
    undo_moves: str = setting("", "Log of moves: move those images back, and nothing else.")

    def __post_init__(self):
        super().__post_init__()
        if self.dry_run and not (self.move_duplicates_to or self.undo_moves):
            raise SettingError(
                Argument("dry_run", True), " only prints moves, and none are requested: add ",
                Argument("move_duplicates_to", "FOLDER"), ", or leave it out.",
            )  # fmt: skip
        if self.move_duplicates_to and self.duplicate_similarity > 0:
            raise SettingError(
                Argument("move_duplicates_to", self.move_duplicates_to), " moves only images whose "
                "pixels agree, and ",
                Argument("duplicate_similarity", self.duplicate_similarity),
                " does not look at them: leave one of them out.",
            )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ClusterSettings(Settings):
    """Clusters."""

    clusters: str = setting(
        "0", "Add the number of each image's k-means cluster: how many clusters, or auto to choose."
    )
    copy_clusters_to: str = setting(
        "", "Copy the images of each cluster into a sub-folder of this folder, an empty or new one."
    )
    link_clusters: bool = setting(
        False, "Make hard links instead of these copies: on the same disk they take no space."
    )

    def __post_init__(self):
        super().__post_init__()
        text = str(self.clusters)
        if text != "auto" and not re.fullmatch("[0-9]{1,9}", text):
            raise SettingError(
                Argument("clusters", self.clusters),
                " must be a whole number of clusters, auto, or 0 for none (of at most 9 digits).",
            )
        if self.copy_clusters_to and not self.are_wanted:
            raise SettingError(
                Argument("copy_clusters_to", self.copy_clusters_to), " needs clusters: add ",
                Argument("clusters", "auto"), " or a number.",
            )  # fmt: skip
        if self.link_clusters and not self.copy_clusters_to:
            raise SettingError(
                Argument("link_clusters", True), " makes links in a folder: name it with ",
                Argument("copy_clusters_to", "FOLDER"), ", or leave this out.",
            )  # fmt: skip

    @property
    def are_wanted(self) -> bool:
        """Whether clusters were asked for."""
        return self.number != 0

    @property
    def number(self) -> int | None:
        """How many clusters; None to choose."""
        return None if self.clusters == "auto" else int(self.clusters)


@dataclasses.dataclass(frozen=True)
class PageSettings(Settings):
    """Page and pictures."""

    page: str = setting(
        "", "Page (.html) of what was found; by default next to the table; none to leave it out."
    )
    gallery: str = setting("", "Picture (.png) of a few images and their nearest.")
    gallery_rows: int = setting(5, "Images in the gallery.", at_least(1))


@dataclasses.dataclass(frozen=True)
class EmbedSettings(Settings):
    """All settings of embed.py."""

    collection: CollectionSettings = dataclasses.field(default_factory=CollectionSettings)
    duplicates: DuplicateSettings = dataclasses.field(default_factory=DuplicateSettings)
    clusters: ClusterSettings = dataclasses.field(default_factory=ClusterSettings)
    page: PageSettings = dataclasses.field(default_factory=PageSettings)


def embed_settings(values: Mapping[str, Any]) -> EmbedSettings:
    """Builds settings from flat values, such as those of flags; missing ones have their default.

    Raises:
        SettingError: if a value is invalid.
    """
    return EmbedSettings(
        collection=build(CollectionSettings, values),
        duplicates=build(DuplicateSettings, values),
        clusters=build(ClusterSettings, values),
        page=build(PageSettings, values),
    )
