"""Arrays in an .npz file: x_train, y_train, x_test, y_test."""

import functools
import os

import numpy as np

from and_tf.data.sources.arrays import ArraySource, array_source
from and_tf.data.splits import SourceOptions, Splits, corrupt
from and_tf.errors import Argument, BrokenFile, NotFound


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
    return Splits({name: functools.partial(_open_split, path, name) for name in names})


def _open_split(path: str, split: str) -> ArraySource:
    with _open(path) as arrays:
        try:
            images = arrays[f"x_{split}"]
            labels = arrays[f"y_{split}"] if f"y_{split}" in arrays.files else None
        except Exception as error:  # corrupt files make NumPy raise nearly anything
            raise corrupt(f"npz:{path}", error) from error
    return array_source(images, labels, f"npz:{path} {split}")


def _open(path: str) -> np.lib.npyio.NpzFile:
    if not os.path.isfile(path):
        raise NotFound(Argument("data", f"npz:{path}"), " does not exist: correct the path.")
    try:
        arrays = np.load(path, allow_pickle=False)
    except Exception as error:  # as above
        raise corrupt(f"npz:{path}", error) from error
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise BrokenFile(
            Argument("data", f"npz:{path}"), " is not an .npz file: write it with numpy.savez."
        )
    return arrays
