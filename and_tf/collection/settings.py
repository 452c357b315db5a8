"""What is made of a collection of images."""

import dataclasses

from and_tf.settings import Settings, at_least, between, setting


@dataclasses.dataclass(frozen=True)
class CollectionSettings(Settings):
    """Images and results."""

    model: str = setting("", "Exported encoder or folder of a run; by default the newest run.")
    checkpoint: str = setting("last", "Of a run: last, best or round_N.")
    images: str = setting("", "Folder of images, searched with its sub-folders.")
    output: str = setting("features.parquet", "Table to write: .parquet or .npz.")
    neighbours: int = setting(0, "Add each image's nearest images.", at_least(0))
    clusters: int = setting(0, "Add the number of a k-means cluster.", at_least(0))
    duplicate_similarity: float = setting(
        0.995, "List pairs of images at least this similar (cosine).", between(0, 1, True)
    )
    gallery: str = setting("", "Picture (.png) of a few images beside their nearest.")
    gallery_rows: int = setting(5, "Images in the gallery.", at_least(1))
    batch_size: int = setting(64, "Images embedded at once.", at_least(1))
    skip_broken: bool = setting(False, "Leave out images that cannot be decoded.")
    seed: int = setting(
        0, "Seed of the clusters and of the gallery's choice.", between(0, 2**32 - 1)
    )
