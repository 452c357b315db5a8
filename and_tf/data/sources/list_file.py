"""Images named in a list: `list:FILE`, with a path and perhaps a label on each line."""

from __future__ import annotations

import functools
import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from and_tf.data.file_checks import FileChecks, check_files
from and_tf.data.sources.class_folders import normalised
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.folder import source_of_files, valid_rows
from and_tf.data.sources.list_table import COLUMNS, ListTable, boxes_of, read_table
from and_tf.data.splits import SYNONYMS, SourceOptions, Splits, unknown_class
from and_tf.errors import Argument, BrokenFile, NotFound

NO_LABEL = ("", "-1")


def list_splits(path: str, options: SourceOptions) -> Splits:
    """The splits of a list, from its column `split`, or all its images as `train`."""
    table, names = _read(path, *_state(path))
    rows = _rows_of_splits(path, table)
    known = _class_names(table, rows.get("train", np.arange(len(table))))
    return Splits(
        {
            split: functools.partial(_open, path, table, names, split, rows[split], known, options)
            for split in rows
        }
    )


def open_list(
    path: str | Path, skip_broken: bool = False, crop_to_box: bool = False
) -> EncodedSource:
    """All images of a list, of any split; arguments and errors are those of `open_source`."""
    path, options = str(path), SourceOptions(skip_broken=skip_broken, crop_to_box=crop_to_box)
    table, names = _read(path, *_state(path))
    rows = np.arange(len(table))
    return _open(path, table, names, "all", rows, _class_names(table, rows), options)


def _state(path: str) -> tuple[int, int]:
    """Size and time of a file, which show whether it has changed since it was read."""
    try:
        state = os.stat(path)
    except OSError:  # reading it reports the error
        return 0, 0
    return state.st_size, state.st_mtime_ns


@functools.lru_cache(maxsize=2)  # a start opens each split of it, and perhaps a held-out list
def _read(path: str, size: int, mtime_ns: int) -> tuple[ListTable, list[str]]:
    """The table, and its paths in normalised spelling."""
    table = read_table(path)
    names = [_normalised_path(name) for name in table.columns["path"]]
    _check_paths(path, table, names)
    return table, names


def _normalised_path(name: str) -> str:
    """`a/b.jpg` for `./a//b.jpg`; `..` is kept, because its meaning depends on links."""
    if not name or ".." in name.split("/"):
        return name
    return posixpath.normpath(os.path.expanduser(name))


def _check_paths(path: str, table: ListTable, names: Sequence[str]) -> None:
    """Refuses lines without a path, and images that are named twice."""
    first: dict[str, int] = {}
    again, pathless = [], []
    for row, name in enumerate(names):
        if not name:
            pathless.append(row)
        elif name in first:
            again.append(row)
        else:
            first[name] = row
    if pathless:
        line = table.lines[pathless[0]]
        raise BrokenFile(
            Argument("data", f"list:{path}"),
            f" has no path in {len(pathless):,} line(s), the first: line {line}: add or remove it.",
        )
    if again:
        row = again[0]
        raise BrokenFile(
            Argument("data", f"list:{path}"),
            f" names {len(again):,} image(s) more than once, the first: {names[row]} in lines "
            f"{table.lines[first[names[row]]]} and {table.lines[row]}: keep one line of each.",
        )


def _rows_of_splits(path: str, table: ListTable) -> dict[str, np.ndarray]:
    """Rows of each split in ascending order, by the split's preferred name."""
    if "split" not in table.columns:
        return {"train": np.arange(len(table))}
    first_names = {name: split for split, names in SYNONYMS.items() for name in names}
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(table.columns["split"]):
        split = first_names.get(name.lower())
        if split is None:
            line = table.lines[row]
            raise BrokenFile(
                Argument("data", f"list:{path}"),
                f" has the split {name!r} in line {line}: use one of {', '.join(first_names)}.",
            )
        rows.setdefault(split, []).append(row)
    return {split: np.array(rows[split]) for split in SYNONYMS if split in rows}


def _labels(table: ListTable) -> list[str] | None:
    """The label of each line, one of `NO_LABEL` if it has none; None if no line has one."""
    labels = [normalised(label) for label in table.columns.get("label", [])]
    return labels if any(label not in NO_LABEL for label in labels) else None


def _class_names(table: ListTable, rows: np.ndarray) -> list[str] | None:
    """The classes of the images to train on: numbers sorted by value, names alphabetically."""
    labels = _labels(table)
    if labels is None:
        return None
    found = {labels[row] for row in rows} - set(NO_LABEL)
    found = found or set(labels) - set(NO_LABEL)  # if only held-out images have labels
    are_numbers = all(name.isdecimal() for name in found)
    return sorted(found, key=lambda name: (int(name), name) if are_numbers else (0, name))


def _open(
    path: str,
    table: ListTable,
    names: Sequence[str],
    split: str,
    rows: np.ndarray,
    classes: list[str] | None,
    options: SourceOptions,
) -> EncodedSource:
    folder = Path(os.path.abspath(path)).parent
    table = ListTable(
        [table.lines[row] for row in rows],
        {column: [cells[row] for row in rows] for column, cells in table.columns.items()},
    )
    names = [names[row] for row in rows]
    labels = None
    if classes is not None and options.labels != "none":
        labels = _class_ids(path, split, table, classes)
    checks = _check(path, split, folder, names, options)
    reasons = [
        reason and f"line {line}: {reason}"
        for line, reason in zip(table.lines, checks.reasons, strict=True)
    ]
    checks = checks._replace(reasons=reasons)
    kept = valid_rows(folder, names, checks, options.skip_broken)
    boxes = boxes_of(table, path, checks.shapes)[kept] if options.crop_to_box else None
    ids = None if labels is None else labels[kept]
    class_names = None if labels is None else classes
    return source_of_files(f"list:{path}", folder, names, checks, kept, ids, class_names, boxes)


def _check(
    path: str, split: str, folder: Path, names: Sequence[str], options: SourceOptions
) -> FileChecks:
    """The checks of the files, cached under list and split so that no other list replaces them."""
    paths = [os.path.join(folder, name) for name in names]
    if not any(map(os.path.exists, paths)):
        raise NotFound(
            f"None of the {len(names):,} images of ", Argument("data", f"list:{path}"), f" exists, "
            f"the first: {paths[0]}: paths are relative to the folder of the list, and a header "
            f"names them one of {', '.join(COLUMNS['path'])}.",
        )  # fmt: skip
    return check_files(Path(f"{path} {split}"), paths, options.skip_broken, options.sharing)


def _class_ids(path: str, split: str, table: ListTable, classes: list[str]) -> np.ndarray:
    """(N,) int32: the place of each line's label among the classes, -1 if it has none."""
    ids = {**{name: number for number, name in enumerate(classes)}, **dict.fromkeys(NO_LABEL, -1)}
    labels = _labels(table) or [""] * len(table)
    for label in labels:
        if label not in ids:
            raise unknown_class(f"The split {split} of list:{path}", label, "its split train")
    return np.array([ids[label] for label in labels], np.int32)
