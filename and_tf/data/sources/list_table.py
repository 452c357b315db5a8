"""A list of images as a table: CSV, TSV, Parquet or plain text, with or without a header."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.data.formats import EXTENSIONS
from and_tf.data.splits import corrupt
from and_tf.errors import Argument, BrokenFile, NoBoxes, NotFound
from and_tf.runs.csv_cells import original

# Names of columns in lower case and without "_", in order of preference.
COLUMNS = {
    "path": ("path", "file", "filename", "image"),
    "label": ("label", "class", "category"),
    "split": ("split",),
    "xmin": ("xmin",),
    "ymin": ("ymin",),
    "xmax": ("xmax",),
    "ymax": ("ymax",),
}
BOX = ("xmin", "ymin", "xmax", "ymax")
DELIMITERS = {".csv": ",;", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")
ENDING = "|".join(map(re.escape, EXTENSIONS))
TEXT_LINE = re.compile(rf"(.*\.(?:{ENDING}))(?:\s*[,;]\s*|\s+)(.+)", re.IGNORECASE)

Row = tuple[int, list[str]]  # number of a line, from 1, and its cells


class ListTable(NamedTuple):
    """The lines of a list.

    Attributes:
        lines: number of each line in the file, from 1; in a Parquet file, of the row.
        columns: {name from `COLUMNS`: text of every line}; empty for an empty cell.
    """

    lines: list[int]
    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.lines)


def read_table(path: str) -> ListTable:
    """Reads a list; its ending determines the format, which is plain text for endings not above.

    Raises:
        NotFound: if there is no such file.
        BrokenFile: if it cannot be read, names no image, or has more cells in a line than columns.
    """
    file = Path(path)
    if not file.is_file():
        what = "is a folder: name a file in it" if file.is_dir() else "does not exist: correct it"
        raise NotFound(Argument("data", f"list:{path}"), f" {what}.")
    try:
        if file.suffix.lower() in PARQUET:
            columns = _parquet_columns(file)
            table = ListTable(list(range(1, len(columns["path"]) + 1)), columns)
        else:
            table = _of_rows(path, _rows(path))
    except BrokenFile:
        raise
    except UnicodeDecodeError as error:
        raise BrokenFile(
            Argument("data", f"list:{path}"), " is not UTF-8 text: save it as UTF-8."
        ) from error
    except Exception as error:  # corrupt files make readers raise nearly anything
        raise corrupt(f"list:{path}", error) from error
    if not len(table):
        raise BrokenFile(Argument("data", f"list:{path}"), " names no image: add a path on a line.")
    return table


def _rows(path: str) -> Iterator[Row]:
    """The lines of a text file that are not empty."""
    file = Path(path)
    delimiters = DELIMITERS.get(file.suffix.lower(), "")
    with open(file, encoding=_encoding(file), newline="") as text:
        first = next((line for line in text if line.strip() and delimiters), "")
        text.seek(0)
        if delimiters:
            delimiter = max(delimiters, key=first.count)  # the first if the line has none of them
            yield from _delimited(path, text, delimiter)
        else:
            yield from _plain(text)


def _encoding(file: Path) -> str:
    """UTF-8, or UTF-16 if a file begins with its mark, as spreadsheets' "Unicode text" does."""
    with open(file, "rb") as content:
        start = content.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _delimited(path: str, text: Iterable[str], delimiter: str) -> Iterator[Row]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [original(cell.strip()) for cell in cells]
            line = reader.line_num + 1  # a quoted cell may span several lines
    except csv.Error as error:
        raise BrokenFile(
            Argument("data", f"list:{path}"),
            f" is not valid CSV in line {line} ({error}): close each quote, and "
            "double it in a cell.",
        ) from error


def _plain(text: Iterable[str]) -> Iterator[Row]:
    """Paths, each with a label after a tab, or after a comma or space that follows the ending."""
    is_table = None
    for number, line in enumerate(text, start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if is_table is None:
            delimiter = next((d for d in "\t,;" if d in line), "\t")
            is_table = _is_header(line.split(delimiter))
        if is_table:
            yield number, [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
        else:
            yield number, _path_and_label(line)


def _path_and_label(line: str) -> list[str]:
    path, tab, label = line.partition("\t")
    if tab:
        return [path.strip(), label.strip()]
    found = TEXT_LINE.fullmatch(line)
    if found and found[2].lower().rpartition(".")[2] not in EXTENSIONS:
        return [found[1], found[2]]
    return [line]  # a path with spaces


def _named(cells: Sequence[str]) -> dict[str, int]:
    """The place of each known column that a header names."""
    names = [cell.strip().lower().replace("_", "") for cell in cells]
    places = {
        column: next((names.index(name) for name in accepted if name in names), None)
        for column, accepted in COLUMNS.items()
    }
    return {column: place for column, place in places.items() if place is not None}


def _is_header(cells: Sequence[str]) -> bool:
    return "path" in _named(cells)


def _of_rows(path: str, rows: Iterator[Row]) -> ListTable:
    """The table of some rows; without a header its columns are path and label."""
    first = next(rows, None)
    if first is None:
        return ListTable([], {})
    has_header = _is_header(first[1])
    places = _named(first[1]) if has_header else {"path": 0, "label": 1}
    width = len(first[1]) if has_header else 2
    lines: list[int] = []
    columns: dict[str, list[str]] = {name: [] for name in places}
    for line, cells in rows if has_header else _with_first(first, rows):
        if len(cells) > width:
            raise _too_many(path, line, cells, has_header)
        lines.append(line)
        for name, place in places.items():
            columns[name].append(cells[place] if place < len(cells) else "")
    return ListTable(lines, columns)


def _with_first(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


def _too_many(path: str, line: int, cells: list[str], has_header: bool) -> BrokenFile:
    remedy = "quote what holds a delimiter"
    if not has_header:
        names = ", ".join(COLUMNS["path"])
        remedy = f"{remedy}, or begin with a header that names the path column one of {names}"
    return BrokenFile(
        Argument("data", f"list:{path}"),
        f" has {len(cells)} cells in line {line} ({', '.join(cells)[:80]}), which is more than it "
        f"has columns: {remedy}.",
    )


def _parquet_columns(file: Path) -> dict[str, list[str]]:
    import pyarrow.parquet as pq

    names = pq.read_schema(file).names
    places = _named(names)
    if "path" not in places:
        accepted = ", ".join(COLUMNS["path"])
        raise BrokenFile(
            Argument("data", f"list:{file}"),
            f" has the columns {', '.join(names)}, but no path column: name it one of {accepted}.",
        )
    table = pq.read_table(file, columns=[names[place] for place in places.values()])
    return {
        column: [_text(value) for value in table.column(names[place]).to_pylist()]
        for column, place in places.items()
    }


def _text(value: object) -> str:
    """A cell of a Parquet file, as the text that a CSV file would have."""
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and value.is_integer():  # integers in a column with missing values
        return str(int(value))
    return str(value).strip()


def boxes_of(table: ListTable, path: str, shapes: np.ndarray) -> np.ndarray:
    """The boxes of a list as fractions of the images.

    Args:
        table: with the columns `BOX`, in pixels of the upright image from its upper left corner.
        path: of the list, for messages.
        shapes: (N, 2) int, height and width of each image; 0 where they are not known.

    Returns:
        (N, 4) float64: ymin, xmin, ymax, xmax.

    Raises:
        NoBoxes: if the list has none of the columns.
        BrokenFile: if some columns are missing, or a box is not a part of its image.
    """
    if missing := [name for name in BOX if name not in table.columns]:
        kind = NoBoxes if len(missing) == len(BOX) else BrokenFile
        raise kind(
            Argument("crop_to_box", True), " needs boxes, and ", Argument("data", f"list:{path}"),
            f" has no column {missing[0]}: name the four columns {', '.join(BOX)}.",
        )  # fmt: skip
    boxes = np.empty((len(table), 4))
    for row, (height, width) in enumerate(np.asarray(shapes).tolist()):
        cells = [table.columns[name][row] for name in BOX]
        box = _box(cells, width or np.inf, height or np.inf)
        if box is None:
            size = f"{width} x {height} pixels" if width else "unknown size"
            raise BrokenFile(
                Argument("data", f"list:{path}"),
                f" has the box {', '.join(cells)} in line {table.lines[row]}, which is not part of "
                f"an image of {size}: correct it (pixels: 0 <= xmin < xmax <= width, likewise y).",
            )
        boxes[row] = box
    return boxes


def _box(cells: Sequence[str], width: float, height: float) -> tuple[float, ...] | None:
    try:
        xmin, ymin, xmax, ymax = map(float, cells)
    except ValueError:
        return None
    if not (0 <= xmin < xmax <= width and 0 <= ymin < ymax <= height):
        return None
    return ymin / height, xmin / width, ymax / height, xmax / width
