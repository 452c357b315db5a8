"""Which images are packed, and where to."""

from __future__ import annotations

import dataclasses

from and_tf.data.settings import LABELS, MAX_MEGAPIXELS
from and_tf.settings import Settings, at_least, between, setting


@dataclasses.dataclass(frozen=True)
class PackSettings(Settings):
    """Packing."""

    data: str = setting(
        "", "Images to pack: the path of a folder, or folder:PATH, list:FILE or tfds:NAME."
    )
    output: str = setting("", "Folder to write; read it as records:OUTPUT.")
    data_dir: str = setting("", "Folder of prepared TFDS data sets.")
    labels: str = setting("folders", "Whether labels are kept.", choices=LABELS)
    skip_broken: bool = setting(False, "Leave out images that cannot be decoded.")
    max_image_megapixels: int = setting(
        MAX_MEGAPIXELS,
        "Images of more megapixels are refused, except for JPEGs.",
        between(1, 100_000),
    )
    file_mb: int = setting(1024, "Size of each file of images.", at_least(1))

    @property
    def file_bytes(self) -> int:
        """Size of each file in bytes."""
        return self.file_mb << 20
