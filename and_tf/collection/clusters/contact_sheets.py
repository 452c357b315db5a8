"""A picture of each cluster: the images nearest its centre, under its number and size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from and_tf.data.picture import grid, png
from and_tf.data.progress import progress_bar
from and_tf.data.sources.no_photos import NO_MEDIA
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, UserError
from and_tf.runs.atomic_files import replace_by

TILE_SIDE = 96  # pixels
COLUMNS = 8
TITLE_HEIGHT = 30
NARROWEST = 360  # pixels, so that the title fits


def folder_name(number: int) -> str:
    """The name of a cluster, for files and folders."""
    return f"cluster_{number:03}"


def check_sheets_folder(folder: Path) -> None:
    """Refuses a folder that holds anything but contact sheets, because it will be replaced.

    Raises:
        UserError: if it does.
    """
    if not folder.exists():
        return
    files = [path.name for path in folder.iterdir()] if folder.is_dir() else [folder.name]
    pictures = re.compile(r"cluster_\d+\.png")
    others = [name for name in files if name != NO_MEDIA and not pictures.fullmatch(name)]
    if others:
        raise UserError(
            Argument("output"), f": the pictures of the clusters go to {folder}, where they would "
            f"replace {others[0]}: move it, or name another table.",
        )  # fmt: skip


def write_contact_sheets(
    folder: Path, source: Source, numbers: np.ndarray, representatives: Sequence[np.ndarray]
) -> Path:
    """Writes a PNG for each cluster into a folder, which is replaced as a whole.

    A file `.nomedia` marks it, so that no later search takes the pictures for photos.

    Args:
        folder: of the pictures.
        source: N images.
        numbers: (N,) int, cluster of each image.
        representatives: for each cluster, the images to show, in this order.

    Returns:
        The folder.
    """
    sizes = np.bincount(numbers)

    def write(partial: Path) -> None:
        """Makes the folder with all pictures in it."""
        partial.mkdir()
        (partial / NO_MEDIA).touch()
        with progress_bar(len(representatives), "contact sheets", "cluster") as bar:
            for number, shown in enumerate(representatives):
                tiles = grid(source.load(shown, TILE_SIDE), columns=COLUMNS)
                title = f"Cluster {number}: {sizes[number]:,} images, {len(shown)} nearest first"
                path = partial / f"{folder_name(number)}.png"
                path.write_bytes(png(_titled(tiles, title)))
                bar.update()

    return replace_by(folder, write)


def _titled(tiles: Image.Image, title: str) -> Image.Image:
    sheet = Image.new(
        "RGB", (max(NARROWEST, tiles.width), tiles.height + TITLE_HEIGHT), (255, 255, 255)
    )
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, sheet.width, TITLE_HEIGHT - 4), fill=(40, 40, 40))
    draw.text((8, 5), title, fill=(255, 255, 255), font=ImageFont.load_default(size=15))
    sheet.paste(tiles, (0, TITLE_HEIGHT))
    return sheet
