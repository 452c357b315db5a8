"""Arrays in an .npz file: x_train, y_train, x_test, y_test."""

import functools
import os
import zipfile
from pathlib import Path

import numpy as np

from and_tf.data.sources.arrays import ArraySource, array_source
from and_tf.data.splits import SourceOptions, Splits, corrupt, unknown_class
from and_tf.errors import Argument, BrokenFile, NotFound
from and_tf.runs.archives import check_arrays, memory_bytes


def npz_splits(path: str, options: SourceOptions) -> Splits:
    """The splits of an .npz file; pickles are refused."""
    with _open(path) as arrays:
        keys = list(arrays.files)
    names = [name for name in ("train", "test") if f"x_{name}" in keys]
    if not names:
        raise BrokenFile(
            Argument("data", f"npz:{path}"),
            " needs the keys x_train, x_test (y_train, y_test for labels). "
            f"Received {', '.join(keys) or 'none'}.",
        )
    with_labels = options.labels != "none"
    opened = {name: functools.partial(_open_split, path, name, with_labels) for name in names}
    return Splits(opened)


def _open_split(path: str, split: str, with_labels: bool) -> ArraySource:
    keys = ["y_train", f"y_{split}"] if with_labels else []
    with _open(path) as arrays:
        try:
            images = arrays[f"x_{split}"]
            labels = {key: arrays[key] for key in keys if key in arrays.files}
        except Exception as error:  # corrupt files make NumPy raise nearly anything
            raise corrupt(f"npz:{path}", error) from error
    name, own = f"npz:{path} {split}", labels.get(f"y_{split}")
    return array_source(images, own, name, class_ids=_class_ids(labels, own, path, name))


def _are_labels(labels: np.ndarray) -> bool:
    return np.issubdtype(labels.dtype, np.integer) and bool((labels >= -1).all())


def _class_ids(
    labels: dict[str, np.ndarray], own: np.ndarray | None, path: str, name: str
) -> np.ndarray | None:
    """The labels that exist: those of the images to train on, if they have any."""
    if own is None or not all(map(_are_labels, labels.values())):
        return None  # `array_source` refuses invalid labels
    found = np.unique(own[own >= 0])
    train = labels.get("y_train", own)
    known = np.unique(train[train >= 0])
    if not len(known):
        known = found
    unknown = np.setdiff1d(found, known)
    if len(unknown):
        raise unknown_class(name, str(unknown[0]), f"npz:{path} train")
    return known if len(known) else None


def _open(path: str) -> np.lib.npyio.NpzFile:
    if not os.path.isfile(path):
        raise NotFound(Argument("data", f"npz:{path}"), " does not exist: correct the path.")
    try:
        if zipfile.is_zipfile(path):  # images of few colours may be compressed to a hundredth
            check_arrays(Path(path), always_bytes=memory_bytes())
        arrays = np.load(path, allow_pickle=False)
    except Exception as error:  # as above
        raise corrupt(f"npz:{path}", error) from error
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise BrokenFile(
            Argument("data", f"npz:{path}"), " is not an .npz file: write it with numpy.savez."
        )
    return arrays
