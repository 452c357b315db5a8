"""Commands that a page shows its reader."""

from typing import NamedTuple


class Command(NamedTuple):
    """A command, what it does, and the anchor of the section that shows it."""

    title: str
    text: str
    section: str = "method"
