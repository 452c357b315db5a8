"""A page of images, each with the nearest ones of a table, in the template of all pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from and_tf.data.decode import load_square
from and_tf.errors import BrokenImage, MissingPackage
from and_tf.runs.atomic_files import replace_file

SIDE = 192  # pixels of a picture
MOST_QUERIES = 200  # on a page

TEMPLATE = """
{% macro show(image) %}
{% if image.address %}<a href="{{ image.address }}">{% endif %}
{% if image.picture %}<img class="thumb" src="{{ image.picture }}" alt="{{ image.name }}">
{% else %}<span class="missing">not found</span>{% endif %}
{% if image.address %}</a>{% endif %}
{% endmacro %}
<p>Each photo on the left is followed by those most similar to it, with rank and cosine. Choose
one to open its file.{% if num_left_out %} The results for {{ num_left_out }} more photos were
printed.{% endif %}</p>
<ul class="lines">{% for found in results %}
<li class="line"><div class="query">{{ show(found) }}
<span class="name">{{ found.name }}</span></div>
<ol class="near">{% for near in found.nearest %}
<li>{{ show(near) }}<span class="rank">{{ loop.index }} · {{ "%.4f"|format(near.cosine) }}</span>
<span class="file">{{ near.name }}</span></li>
{% endfor %}</ol></li>
{% endfor %}</ul>
"""
STYLE = """
.line .near { grid-template-columns: repeat(auto-fill, minmax(5rem, 1fr)); }
.line .near .thumb, .missing { display: block; width: 100%; aspect-ratio: 1; }
.missing { display: grid; place-items: center; border: 1px dashed; border-radius: 3px; }
@media (min-width: 40.01rem) {
  .line { grid-template-columns: 11rem minmax(0, 1fr); }
  .line .near { grid-template-columns: repeat(auto-fill, 8.5rem); }
}
"""


class Near(NamedTuple):
    """An image that was found: its name in the table, its file if known, and the cosine."""

    name: str
    file: Path | None
    cosine: float


class Found(NamedTuple):
    """A query image, its file if known, and what it found, nearest first."""

    name: str
    file: Path | None
    nearest: Sequence[Near]


def write_search_page(path: Path, results: Sequence[Found], title: str, subtitle: str) -> Path:
    """Writes one HTML file with embedded thumbnails and relative links to the photos.

    Args:
        path: of the page.
        results: what each image found; the first 200 are shown.
        title, subtitle: of the page.

    Returns:
        The path.

    Raises:
        MissingPackage: without jinja2.
    """
    try:
        from and_tf.report.page.originals import shown_name
        from and_tf.report.page.rendering import render
        from and_tf.report.section import Section, fill
    except ImportError as error:
        raise MissingPackage("The page needs jinja2: pip install jinja2") from error
    html = fill(
        TEMPLATE,
        results=[_shown(found, path.parent) for found in results[:MOST_QUERIES]],
        num_left_out=max(0, len(results) - MOST_QUERIES),
    )
    text = render(
        kind="Similar photos",
        title=shown_name(title),
        subtitle=shown_name(subtitle),
        sections=[Section("nearest", "Nearest photos", html, style=STYLE)],
        is_photos=True,
    )
    return replace_file(path, text)


def _shown(found: Found, folder: Path) -> dict[str, object]:
    nearest = [{"cosine": near.cosine} | _image(near, folder) for near in found.nearest]
    return {"nearest": nearest} | _image(found, folder)


def _image(image: Near | Found, folder: Path) -> dict[str, object]:
    """Name, address and picture of an image for a page in `folder`."""
    from and_tf.report.page.originals import relative_url, shown_name

    picture = _picture(image.file)
    address = relative_url(image.file, folder) if image.file and picture else ""
    return {"name": shown_name(image.name), "address": address, "picture": picture}


def _picture(file: Path | None) -> str:
    """A data URI of an image's centre square; empty if it can no longer be read."""
    from and_tf.report.thumbnails import picture

    if file is None:
        return ""
    try:
        return picture(load_square(str(file), SIDE))
    except (OSError, BrokenImage):
        return ""
