"""Packs the images of a data set into a few large files, which are quicker to read and to copy.

Each file is written under a temporary name, read again, compared and renamed, so after a kill or a
full disk the same command continues with the next file. Images are kept as they are, byte for byte,
so that training gives exactly the same result.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.data.large_images import limit_megapixels
from and_tf.data.pack_settings import PackSettings
from and_tf.data.progress import progress_bar
from and_tf.data.sources.array_record_files import (
    array_record_module,
    close_readers,
    write_records,
)
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.items import ArrayRecords
from and_tf.data.sources.opening import available_splits, open_source
from and_tf.data.sources.records import (
    COMPLETE,
    PLAN,
    VERSION,
    PackedSplit,
    index_file,
    read_index,
    read_plan,
)
from and_tf.data.workers import thread_pool
from and_tf.errors import Argument, BrokenFile, NoBoxes, UserError
from and_tf.runs.atomic_files import replace_by, replace_file, sync_descriptor
from and_tf.runs.places import check_local, expanded

logger = logging.getLogger(__name__)

REMEDY = "remove the folder, or name another, and pack the images again"
AT_ONCE = 64  # images that are read ahead of the one being written


def pack(settings: PackSettings) -> Path:
    """Packs all splits of a data set, or continues where packing was interrupted.

    Args:
        settings: what to pack, and where to.

    Returns:
        The folder, to be opened as `records:FOLDER`.

    Raises:
        UserError: if the data set holds no encoded images, the folder holds something else or other
            images, the disk has no room, or an image changes during packing.
        BrokenFile: if a file, read again, differs from what was written.
        MissingPackage: if array_record is not installed.
    """
    array_record_module()  # fails at once if it is missing
    limit_megapixels(settings.max_image_megapixels)
    folder = expanded(settings.output)
    check_local("output", folder)
    sources = {
        name: _opened(settings, name)
        for name in available_splits(settings.data, settings.data_dir or None)
    }
    plan = {name: _planned(source, settings.file_bytes) for name, source in sources.items()}
    _begin(folder, plan, settings)
    missing = {
        name: [
            number
            for number in range(len(split.ends))
            if not _is_written(folder, name, split, number, sources[name])
        ]
        for name, split in plan.items()
    }
    _report(folder, plan, missing)
    _check_room(folder, sources, plan, missing)
    for name, numbers in missing.items():
        for number in numbers:
            _write(folder, name, plan[name], number, sources[name])
    replace_file(folder / COMPLETE, (folder / PLAN).read_text())
    logger.info("%s is complete: read it as records:%s", folder, folder)
    return folder


def _opened(settings: PackSettings, split: str) -> EncodedSource:
    """A split, with the bounding boxes that its data set may have."""
    data_dir = settings.data_dir or None
    arguments = settings.data, split, data_dir, settings.labels, settings.skip_broken
    try:
        source = open_source(*arguments, crop_to_box=True)
    except NoBoxes:
        source = open_source(*arguments)
    if not isinstance(source, EncodedSource):
        raise UserError(
            Argument("data", settings.data), " holds pixels, which are in one file and in memory "
            "anyway: pack a folder, a list of files or a TFDS set."
        )  # fmt: skip
    return source


def _planned(source: EncodedSource, file_bytes: int) -> PackedSplit:
    """Plans which images go into which file: as many as fit, and at least one."""
    last_bytes = np.cumsum(source.sizes)
    numbers = (last_bytes - source.sizes) // file_bytes  # file in which each image begins
    ends = [*(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(source)]
    return PackedSplit(
        ends=ends,
        fingerprint=dataclasses.replace(source, boxes=None).fingerprint,
        identity=source.identity,
        class_names=source.class_names,
        has_names=source.names is not None,
        broken=[list(pair) for pair in source.broken],
        boxed=None if source.boxes is None else source.fingerprint,
    )


def _begin(folder: Path, plan: dict[str, PackedSplit], settings: PackSettings) -> None:
    """Writes the plan, or checks that an existing plan is the same.

    Raises:
        UserError: if the folder holds something else.
    """
    output = Argument("output", settings.output)
    try:
        known = read_plan(folder / PLAN, REMEDY)
    except FileNotFoundError:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(output, " holds something else: name another folder.") from None
        folder.mkdir(parents=True, exist_ok=True)
        splits = {name: dataclasses.asdict(split) for name, split in plan.items()}
        replace_file(folder / PLAN, json.dumps({"version": VERSION, "splits": splits}))
        return
    if known != plan:
        what = [name for name in plan if known.get(name) != plan[name]] or [*known]
        is_same = all(n in known and known[n].fingerprint == plan[n].fingerprint for n in what)
        which = "with other labels, boxes or sizes of files" if is_same else "from other images"
        raise UserError(
            output, f" was begun {which} (split {', '.join(what)}): name another folder, or remove "
            "this one."
        )  # fmt: skip


def _is_written(
    folder: Path, name: str, split: PackedSplit, number: int, source: EncodedSource
) -> bool:
    """Whether a file of images exists with the expected index."""
    try:
        found = read_index(split.file(folder, name, number), split.columns, split.count(number))
    except BrokenFile:
        return False
    expected = _columns(source, split.rows(number))
    return all(np.array_equal(found[key], values) for key, values in expected.items())


def _report(folder: Path, plan: dict[str, PackedSplit], missing: dict[str, list[int]]) -> None:
    total, left = sum(len(s.ends) for s in plan.values()), sum(map(len, missing.values()))
    images = sum(split.ends[-1] for split in plan.values())
    there = f", {total - left} of them there already" if left < total else ""
    logger.info("%s: %s images in %d file(s)%s.", folder, f"{images:,}", total, there)


def _check_room(
    folder: Path,
    sources: dict[str, EncodedSource],
    plan: dict[str, PackedSplit],
    missing: dict[str, list[int]],
) -> None:
    needed = sum(
        int(sources[name].sizes[plan[name].rows(number)].sum())
        for name, numbers in missing.items()
        for number in numbers
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} needs {needed / 1e6:,.1f} MB more, and its disk has {free / 1e6:,.1f}: "
            "make room, or name another ", Argument("output"), "."
        )  # fmt: skip


def _write(folder: Path, name: str, split: PackedSplit, number: int, source: EncodedSource) -> None:
    """Writes one file of images and its index, which exists only once the file is complete."""
    file, rows = split.file(folder, name, number), split.rows(number)
    index_file(file).unlink(missing_ok=True)
    columns: dict[str, Any] = {}
    replace_by(file, lambda partial: columns.update(_written(partial, source, rows)))
    columns["bytes"] = np.array(file.stat().st_size)

    def write_index(partial: Path) -> None:
        with partial.open("wb") as opened:
            np.savez(opened, **columns)

    replace_by(index_file(file), write_index)


def _written(path: Path, source: EncodedSource, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Writes the images at `rows`, reads them again, and returns the columns of their index."""
    checksums = np.empty(len(rows), np.uint32)

    def records() -> Iterator[bytes]:
        for place, image in enumerate(_images(source, rows, path.name)):
            checksums[place] = zlib.crc32(image)
            yield _example(source, rows[place], image)

    write_records(path, records())
    _check_written(path, source.sizes[rows], checksums)
    shapes = source.header_shapes()[rows]
    return _columns(source, rows) | {"checksums": checksums, "shapes": shapes}


def _columns(source: EncodedSource, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of an index that a source knows without reading its images."""
    names = "\0".join(source.names[row] for row in rows.tolist()) if source.names else ""
    labels = np.full(len(rows), -1, np.int32) if source.labels is None else source.labels[rows]
    columns = {
        "names": np.frombuffer(names.encode(errors="surrogateescape"), np.uint8),
        "labels": labels.astype(np.int32),
        "sizes": source.sizes[rows],
    }
    return columns if source.boxes is None else columns | {"boxes": source.boxes[rows]}


def _images(source: EncodedSource, rows: np.ndarray, description: str) -> Iterator[bytes]:
    """The encoded images, read ahead by threads; an image that has changed is refused."""
    with progress_bar(len(rows), description) as progress:
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE].tolist()
            read = thread_pool().map(lambda row: source.content(row, is_trained_on=True), part)
            for image in read:
                yield image
                progress.update()


def _example(source: EncodedSource, row: int, image: bytes) -> bytes:
    """The record of an image."""
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example()
    features = example.features.feature
    features["image"].bytes_list.value.append(image)
    if source.names:
        features["name"].bytes_list.value.append(source.names[row].encode(errors="surrogateescape"))
    if source.labels is not None:
        features["label"].int64_list.value.append(int(source.labels[row]))
    return example.SerializeToString(deterministic=True)


def _check_written(path: Path, sizes: np.ndarray, checksums: np.ndarray) -> None:
    """Reads each image again, from the disk rather than from memory where the system allows it.

    Raises:
        BrokenFile: if a checksum differs from that of what was written.
    """
    with path.open("rb") as file:
        sync_descriptor(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    count = len(sizes)
    try:
        for _ in ArrayRecords(
            [os.fspath(path)], np.zeros(count, np.int32), np.arange(count), sizes, checksums
        ):
            pass
    finally:
        close_readers()  # the file is about to be renamed


if __name__ == "__main__":
    sys.exit(importlib.import_module("and_tf.cli.pack").main())  # the library imports no program
