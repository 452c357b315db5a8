"""Tables as text: rows are dicts with the same keys, which become the header."""

from collections.abc import Mapping, Sequence

Rows = Sequence[Mapping[str, object]]


def markdown(rows: Rows) -> str:
    """A Markdown table; floats have three significant digits."""
    header, *lines = _cells(rows)
    divider = "|---" * len(header) + "|"
    shown = [f"| {' | '.join(line)} |" for line in (header, *lines)]
    return "\n".join([shown[0], divider, *shown[1:]])


def aligned(rows: Rows) -> str:
    """A table for a terminal, with cells as in `markdown`."""
    lines = _cells(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(rows: Rows) -> list[list[str]]:
    """The header and the cells of each row."""
    names = list(rows[0])
    return [names, *([cell_text(row[name]) for name in names] for row in rows)]


def cell_text(value: object) -> str:
    """The text of a value in a table."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
