"""Rows of CSV files that a spreadsheet shows as they are: no name in them becomes a formula.

Spreadsheets take a cell that begins with = + - or @ for a formula, also one of a file or class that
somebody else named. An apostrophe before the sign makes it text. Where a semicolon or a tab parts
cells, as in many countries, what follows one in a name begins a cell, too. Reading takes the
apostrophe away again, and only that one.

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
    """A function that writes a row of cells to a file that was opened with `newline=""`.

    Args:
        file: for text.
        line_end: after each row.

    Example:
        >>> row_writer(sys.stdout, "\\n")(["=1+1", -2, "-2.5", "a, b"])
        '=1+1,-2,-2.5,"a, b"
    """
    writer = csv.writer(file, lineterminator=line_end)

    def write(cells: Iterable[object]) -> None:
        writer.writerow([plain(cell) if isinstance(cell, str) else cell for cell in cells])

    return write


def read_rows(file: Iterable[str]) -> Iterator[list[str]]:
    """The rows of a file that `row_writer` wrote, with the cells that it was given as texts."""
    for cells in csv.reader(file):
        yield [original(cell) for cell in cells]


def plain(text: str) -> str:
    """A text as a cell that no spreadsheet calculates; a number stays one."""
    return text if NUMBER.fullmatch(text) else FORMULA.sub(r"\1'", text)


def original(cell: str) -> str:
    """The text of which `plain` made a cell."""
    return MARKED.sub(r"\1", cell)
