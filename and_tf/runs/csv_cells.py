"""Rows of CSV files that a spreadsheet shows as they are, so that no name becomes a formula.

Spreadsheets treat a cell that begins with = + - or @ as a formula, even if it is the name of a file
or class that someone else chose. An apostrophe before the sign makes it text. Where a semicolon or
a tab separates cells, as in many countries, the part of a name after one begins a cell, too.
Reading removes that apostrophe again, and no other.

Reference: OWASP, CSV Injection.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"  # the wide forms count in East Asian spreadsheets
STARTS = r"(?:^|[;\t\r\n])\s*"
FORMULA = re.compile(rf"({STARTS})(?='*[{SIGNS}])")
MARKED = re.compile(rf"({STARTS})'(?='*[{SIGNS}])")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def row_writer(file: TextIO, line_end: str = "\r\n") -> Callable[[Iterable[object]], None]:
    """Returns a function that writes a row of cells to a file opened with `newline=""`.

    Args:
        file: a text file.
        line_end: written after each row.

    Example:
        >>> row_writer(sys.stdout, "\\n")(["=1+1", -2, "-2.5", "a, b"])
        '=1+1,-2,-2.5,"a, b"
    """
    writer = csv.writer(file, lineterminator=line_end)

    def write(cells: Iterable[object]) -> None:
        writer.writerow([plain(cell) if isinstance(cell, str) else cell for cell in cells])

    return write


def read_rows(file: Iterable[str]) -> Iterator[list[str]]:
    """The rows of a file written by `row_writer`, with the original cells as text."""
    for cells in csv.reader(file):
        yield [original(cell) for cell in cells]


def plain(text: str) -> str:
    """A text as a cell that no spreadsheet evaluates; a number stays a number."""
    return text if NUMBER.fullmatch(text) else FORMULA.sub(r"\1'", text)


def original(cell: str) -> str:
    """The text that `plain` converted to this cell."""
    return MARKED.sub(r"\1", cell)
