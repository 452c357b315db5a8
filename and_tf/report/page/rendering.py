"""Builds one HTML page from its sections; template, style and script are next to this file."""

import base64
import hashlib
import logging
from collections.abc import Sequence

from markupsafe import Markup

from and_tf.report.section import PAGE, BuildSection, Context, Section, environment

logger = logging.getLogger(__name__)


def build_sections(builders: Sequence[BuildSection[Context]], context: Context) -> list[Section]:
    """The sections that the context of the page has data for, in their order."""
    logger.info("Drawing the page")
    made = [build(context) for build in builders]
    return [section for section in made if section is not None]


def render(
    kind: str,
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    is_photos: bool,
    has_files: bool = False,
) -> str:
    """The page as text.

    A content security policy allows only the page's own script, and only pictures in the page and,
    if it has files, next to it.

    Args:
        kind: what the page is, such as "Report of a training run".
        title: of the page.
        subtitle: a line below it.
        sections: in their order.
        is_photos: whether images are shown smoothed, not as sharp pixels.
        has_files: whether the page shows files next to it.
    """
    script = (PAGE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    return environment().get_template("page.html").render(
        kind=kind,
        title=title,
        subtitle=subtitle,
        summaries=[section for section in sections if section.is_summary],
        sections=[section for section in sections if not section.is_summary],
        is_photos=is_photos,
        image_sources="data: 'self' file:" if has_files else "data:",
        style=Markup("\n".join([style, *(section.style for section in sections)])),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )  # fmt: skip
