"""Writes the page of a folder next to its table."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from and_tf.collection.collection import Collection
from and_tf.collection.findings import Findings
from and_tf.collection.page.commands import Command
from and_tf.collection.page.thumbnails import make_thumbnails, thumbnails_folder
from and_tf.collection.settings import EmbedSettings, PageSettings
from and_tf.data.sources.no_photos import NO_MEDIA
from and_tf.errors import Argument, MissingPackage, UserError
from and_tf.runs.atomic_files import replace_file
from and_tf.runs.places import expanded, make_folder_of

NONE = "none"  # in place of a path: no page


def page_path(settings: PageSettings, table: Path) -> Path | None:
    """Where the page of a table is written; None if none is wanted."""
    if settings.page == NONE:
        return None
    return expanded(settings.page) if settings.page else table.with_suffix(".html")


def check_page(settings: PageSettings, table: Path) -> Path | None:
    """Refuses a page that could not be written, before the work is done.

    Returns:
        Its path; None if none is wanted.

    Raises:
        MissingPackage: if jinja2 is not installed.
        UserError: if its suffix is not .html, or its folder of thumbnails holds something else.
    """
    path = page_path(settings, table)
    if path is None:
        return None
    if path.suffix != ".html":
        raise UserError(Argument("page", settings.page), f" must end in .html, or be {NONE}.")
    if importlib.util.find_spec("jinja2") is None:
        raise MissingPackage(
            "The page needs jinja2: pip install jinja2, or leave the page out: ",
            Argument("page", NONE),
        )
    folder = thumbnails_folder(path)
    if folder.exists() and not (folder / NO_MEDIA).is_file():
        raise UserError(
            Argument("page", settings.page or str(path)),
            f": its thumbnails go to {folder}, which holds something else: rename or move that, or "
            "give the page another name.",
        )
    return path


def write_page(
    page: Path,
    collection: Collection,
    findings: Findings,
    settings: EmbedSettings,
    table: Path,
    commands: Sequence[Command] = (),
    encoded: Sequence[bytes] | None = None,
) -> Path:
    """Writes the page of a collection, and files of thumbnails next to it if they are many.

    Args:
        page: the file; replaced, whole or not at all.
        collection: the photos with their neighbours.
        findings: what was found in them.
        settings: what was asked for.
        table: the table that the page belongs to.
        commands: for the reader.
        encoded: the thumbnails as JPEG, if they exist already.

    Returns:
        The path of the page.
    """
    from and_tf.collection.page.context import PageContext
    from and_tf.collection.page.sections import SECTIONS
    from and_tf.report.page.rendering import build_sections, render

    thumbnails = make_thumbnails(collection.source, make_folder_of(page), encoded)
    context = PageContext(collection, findings, settings, table, page, thumbnails, commands)
    text = render(
        kind="A folder of photos",
        title=settings.collection.folder.absolute().name or "Photos",
        subtitle=f"{len(context):,} photos in {settings.collection.images}",
        sections=build_sections(SECTIONS, context),
        is_photos=True,
        has_files=True,
    )
    return replace_file(page, text)
