"""A page of images, each with the nearest of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import and_tf
from and_tf.data.decode import load_square
from and_tf.errors import BrokenImage, MissingPackage
from and_tf.runs.atomic_files import replace_file

QUERY_SIDE, FOUND_SIDE = 200, 150  # pixels
MOST_QUERIES = 200  # on a page


class Near(NamedTuple):
    """An image that was found: its name in the table, its file where known, and the cosine."""

    name: str
    file: Path | None
    cosine: float


class Found(NamedTuple):
    """An image that searched, its file where known, and what it found, nearest first."""

    name: str
    file: Path | None
    nearest: Sequence[Near]


def write_search_page(path: Path, results: Sequence[Found], title: str, subtitle: str) -> Path:
    """Writes one HTML file, thumbnails in it, the photos linked.

    Args:
        path: of the page.
        results: what each image has found; the first 200 are shown.
        title, subtitle: of the page.

    Returns:
        The path.

    Raises:
        MissingPackage: without jinja2.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingPackage("The page needs jinja2: `pip install jinja2`.") from error
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    shown = [_shown(found) for found in results[:MOST_QUERIES]]
    page = jinja2.Environment(autoescape=True).from_string(template).render(
        title=title, subtitle=subtitle, results=shown, version=and_tf.__version__
    )  # fmt: skip
    return replace_file(path, page)


def _shown(found: Found) -> dict[str, object]:
    nearest = [
        {
            "name": near.name,
            "cosine": f"{near.cosine:.4f}",
            "address": near.file.absolute().as_uri() if near.file else "",
            "picture": _picture(near.file, FOUND_SIDE),
        }
        for near in found.nearest
    ]
    return {"name": found.name, "picture": _picture(found.file, QUERY_SIDE), "nearest": nearest}


def _picture(file: Path | None, side: int) -> str:
    """A data URI of an image's centre square; empty if it cannot be read any more."""
    from and_tf.report.thumbnails import picture

    if file is None:
        return ""
    try:
        return picture(load_square(str(file), side))
    except (OSError, BrokenImage):
        return ""
