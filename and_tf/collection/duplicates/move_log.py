"""Reads the log of moved images, which may have been edited or come from elsewhere.

For each image it gives the original path and the one in the log's own folder. Relative to the
folder of photos and to the log's, the two must agree except for a number; other logs are refused.
"""

import csv
import os
import re
from pathlib import Path

from and_tf.data.formats import EXTENSIONS
from and_tf.errors import Argument, BrokenFile, NotFound
from and_tf.runs.csv_cells import read_rows

COLUMNS = ("from", "to")
LONGEST = 32_767  # characters of a path, on the system that allows the longest


def numbered(path: Path, number: int) -> Path:
    """The path for an image whose own path is taken: "name (2).jpg"."""
    return path.with_name(f"{path.stem} ({number}){path.suffix}")


def read_log(path: Path) -> list[tuple[Path, Path]]:
    """Where each image came from and where it is now, both absolute, in the order of the moves.

    Raises:
        NotFound, BrokenFile: if there is no such log, or it does not belong to its folder.
    """
    if not path.is_file():
        raise NotFound(Argument("undo_moves", str(path)), " does not exist: correct the path.")
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(read_rows(file))
    except csv.Error as error:
        raise _no_log(path, str(error)) from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise _no_log(path, "its first line is not from,to")
    folder, photos = os.path.realpath(path.absolute().parent), None
    moves = []
    for number, row in enumerate(rows[1:], start=2):
        if number == len(rows) and _is_cut(path, row):
            break
        root, fault = _photos_of(folder, row)
        if root is not None and photos is not None and root != photos:
            fault = f"{row[0]} is not from the same folder of photos as the others"
        if fault:
            raise _no_log(path, f"line {number}: {fault}")
        photos = root
        moves.append((Path(row[0]), Path(row[1])))
    return moves


def _is_cut(path: Path, row: list[str]) -> bool:
    """Whether a kill has cut off the last line: its move never began."""
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        is_whole = file.read() == b"\n"
    return not is_whole or len(row) < len(COLUMNS)


def _photos_of(folder: str, row: list[str]) -> tuple[str | None, str]:
    """The folder of photos that a line belongs to, or None and what is wrong with the line.

    Args:
        folder: real path of the log's folder.
        row: cells of the line.
    """
    if len(row) != len(COLUMNS) or any("\0" in cell or len(cell) > LONGEST for cell in row):
        return None, "it does not hold two paths"
    source, target = map(Path, row)
    below = Path(os.path.realpath(target.parent))
    if not (source.is_absolute() and target.is_absolute()):
        return None, "its paths are not absolute"
    if not below.is_relative_to(folder):
        return None, f"{target} is not in the log's folder"
    parts = below.relative_to(folder).parts
    name = re.escape(source.stem) + r"(?: \(\d+\))?" + re.escape(source.suffix)
    is_same = re.fullmatch(name, target.name) and (
        not parts or source.parent.parts[-len(parts) :] == parts
    )
    if not is_same:
        return None, f"{source} does not match the path of {target} in the log's folder"
    if source.suffix[1:].lower() not in EXTENSIONS:
        return None, f"{source} is not an image, judging by its name"
    root = os.path.realpath(Path(*source.parts[: len(source.parts) - 1 - len(parts)]))
    if Path(root).is_relative_to(folder) or Path(folder).is_relative_to(root):
        return None, f"{source} is from the log's folder, or from one that contains it"
    return root, ""


def _no_log(path: Path, reason: str) -> BrokenFile:
    return BrokenFile(
        Argument("undo_moves", str(path)), f" is not a log of moves to the folder that it is in "
        f"({reason}): give another, or put it back into its folder.",
    )  # fmt: skip
