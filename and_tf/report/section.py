"""The contract of a section of a page, and how its part of the template is filled in.

A section is a function from the context of its page (`ReportContext` of a run, `PageContext` of a
folder) to a `Section`, or to None if there is nothing to show. Its file in `sections` holds all of
it: data, captions and its part of the template.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jinja2
from markupsafe import Markup

PAGE = Path(__file__).parent / "page"


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        anchor: its id, unique on the page.
        title: its heading.
        html: what is below the heading, from `fill`.
        link: its name in the table of contents; empty for the title.
        is_summary: whether it is above that table, and not in it.
        css_class: of its element.
        style: CSS rules of its own.
    """

    anchor: str
    title: str
    html: Markup
    link: str = ""
    is_summary: bool = False
    css_class: str = ""
    style: str = ""


Context = TypeVar("Context")
BuildSection = Callable[[Context], Section | None]


def fill(template: str, **variables: Any) -> Markup:
    """Renders a template as HTML; the macros of page/macros.html are `page.NAME` in it.

    Names of files and classes come from a user's folders, so everything but `Markup` is escaped.

    Args:
        template: in Jinja's language.
        **variables: those in the template; each must be given.
    """
    return Markup(environment().from_string(template).render(**variables))


@functools.cache
def environment() -> jinja2.Environment:
    """Jinja's environment for pages: everything is escaped, and a missing variable is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["page"] = made.get_template("macros.html").module
    return made
