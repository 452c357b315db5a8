"""Images as the sections of a page show them; the macros `photo` and `lines` draw them."""

import dataclasses
import os
from collections.abc import Sequence

KEPT = 3  # letters before the extension that a caption never cuts off
LONGEST = 12  # letters that it never cuts off, in all


@dataclasses.dataclass(frozen=True)
class Photo:
    """An image as a page shows it.

    Attributes:
        src: address of its picture.
        name: of the file, or its number.
        label: name of its class, or an empty string.
        index: place in the explorer, which opens if the image is chosen; None if it is not there.
        rank: 1 for the nearest neighbour; 0 for an image that is not shown as a neighbour.
        cosine: similarity to the image of its line.
        is_wrong: whether it is known to be of another class than that image.
        is_kept: whether it is the one to keep of its group.
        detail: a few words below it.
    """

    src: str
    name: str
    label: str = ""
    index: int | None = None
    rank: int = 0
    cosine: float = 0.0
    is_wrong: bool = False
    is_kept: bool = False
    detail: str = ""

    @property
    def short_name(self) -> str:
        """The name; without folders if there is a class, which already shows the folder."""
        return self.name.rpartition("/")[2] if self.label else self.name

    @property
    def file_parts(self) -> tuple[str, str]:
        """The file's name, split for a caption."""
        return split_name(self.name.rpartition("/")[2])

    @property
    def short_parts(self) -> tuple[str, str]:
        """The short name, split for a caption."""
        return split_name(self.short_name)

    @property
    def alt(self) -> str:
        return f"{self.name}, {self.label}" if self.label else self.name


@dataclasses.dataclass(frozen=True)
class Line:
    """An image, its nearest neighbours, and a note below it, such as its predicted class."""

    image: Photo
    near: Sequence[Photo]
    note: str = ""


def split_name(name: str) -> tuple[str, str]:
    """A name in two parts, of which a narrow caption may cut the first but not the second.

    Returns:
        The part that may be cut, and the last letters with the extension.
    """
    kept = min(KEPT + len(os.path.splitext(name)[1]), LONGEST)
    return name[:-kept], name[-kept:]
