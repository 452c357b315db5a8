"""The list of near-duplicates: one line per image in a group."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.groups import Group
from and_tf.collection.pictures import Pictures
from and_tf.runs.atomic_files import replace_by
from and_tf.runs.csv_cells import row_writer
from and_tf.search.rows import unit_rows

COLUMNS = (
    "group", "image", "keep", "reason", "similarity", "width", "height", "sharpness", "bytes"
)  # fmt: skip


def duplicates_path(table: Path) -> Path:
    """Path of the list of groups that belongs to a table: TABLE.duplicates.csv."""
    return table.with_suffix(".duplicates.csv")


def write_duplicates(
    path: Path, groups: Sequence[Group], collection: Collection, pictures: Pictures
) -> Path:
    """Writes a CSV file with the columns `COLUMNS`, groups in their order, the one to keep first.

    `keep` is yes or no, `similarity` the cosine with the image to keep. The file is in UTF-8, with
    "?" for characters of a name that it cannot hold.
    """

    def write(partial: Path) -> None:
        with open(partial, "w", newline="", encoding="utf-8", errors="replace") as file:
            write_row = row_writer(file)
            write_row(COLUMNS)
            for number, group in enumerate(groups):
                for row in _keep_first(group):
                    write_row([number, *_line(group, row, collection, pictures)])

    return replace_by(path, write)


def _keep_first(group: Group) -> list[int]:
    return [group.keep, *(row for row in group.members if row != group.keep)]


def _line(group: Group, row: int, collection: Collection, pictures: Pictures) -> list[object]:
    first, second = unit_rows(collection.embeddings[[group.keep, row]])
    height, width = pictures.shapes[row].tolist()
    sizes = getattr(collection.source, "sizes", None)
    return [
        collection.names[row],
        "yes" if row == group.keep else "no",
        group.reason,
        f"{float(np.clip(first @ second, -1, 1)):.4f}",
        width,
        height,
        f"{pictures.sharpness[row]:.3f}",
        "" if sizes is None else int(sizes[row]),
    ]
