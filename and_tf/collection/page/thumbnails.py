"""Thumbnails of all photos, each made once: in the page itself, or in files next to it."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from and_tf.data.sources.no_photos import NO_MEDIA
from and_tf.data.sources.source import Source
from and_tf.report.thumbnails import PICTURE_SIDE, data_uri, encode_thumbnails
from and_tf.runs.atomic_files import replace_by

MOST_INLINE = 1_000  # photos whose thumbnails are embedded in the page, 4 to 5 kB each


@dataclasses.dataclass(frozen=True)
class Thumbnails:
    """Where the page finds the thumbnail of each photo.

    Attributes:
        addresses: N data URIs; empty if the thumbnails are in files.
        folder: address of the folder of the files; empty if there are none.
        digits: of the files' names, 000017.jpg and so on.
    """

    addresses: list[str]
    folder: str = ""
    digits: int = 0

    def address(self, index: int) -> str:
        """Where the thumbnail of a photo is."""
        if self.addresses:
            return self.addresses[index]
        return f"{self.folder}/{index:0{self.digits}}.jpg"

    @property
    def data(self) -> dict[str, Any]:
        """The addresses, as the explorer takes them."""
        if self.addresses:
            return {"addresses": self.addresses}
        return {"folder": self.folder, "digits": self.digits}


def thumbnails_folder(page: Path) -> Path:
    """The folder next to a page to which thumbnails are written if they are many."""
    return page.with_name(f"{page.stem}_page")


def encode_new_thumbnails(source: Source, known: Sequence[bytes | None] = ()) -> list[bytes]:
    """The thumbnails of all photos as JPEG.

    Args:
        source: N photos; each that is not known is decoded once, on all cores.
        known: N existing thumbnails, None where there is none; or an empty sequence.
    """
    rows = [row for row in range(len(source)) if not known or known[row] is None]
    part = source if len(rows) == len(source) else source.take(rows)
    made = dict(zip(rows, encode_thumbnails(part, PICTURE_SIDE) if rows else (), strict=True))
    return [made[row] if row in made else bytes(known[row] or b"") for row in range(len(source))]


def make_thumbnails(
    source: Source, page: Path, encoded: Iterable[bytes] | None = None
) -> Thumbnails:
    """Makes the thumbnails of all photos; more than `MOST_INLINE` are written next to the page.

    Args:
        source: N photos; each is decoded once, on all cores.
        page: the file that shows them.
        encoded: N thumbnails, if they exist already.
    """
    encoded = encode_thumbnails(source, PICTURE_SIDE) if encoded is None else encoded
    if len(source) <= MOST_INLINE:
        return Thumbnails([data_uri(each) for each in encoded])
    folder, digits = thumbnails_folder(page), len(str(len(source) - 1))

    def write(partial: Path) -> None:
        partial.mkdir()
        (partial / NO_MEDIA).touch()
        for number, each in enumerate(encoded):
            (partial / f"{number:0{digits}}.jpg").write_bytes(each)

    replace_by(folder, write, is_durable=False)
    return Thumbnails([], quote(folder.name.encode(errors="surrogateescape")), digits)
