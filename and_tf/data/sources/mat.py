"""The .mat files of SVHN, format 2."""

import functools
from pathlib import Path

import numpy as np

from and_tf.data.sources.arrays import ArraySource, array_source
from and_tf.data.splits import SourceOptions, Splits, corrupt, unknown_class
from and_tf.errors import Argument, NotFound


def mat_splits(path: str, options: SourceOptions) -> Splits:
    """The splits of a folder with train_32x32.mat and test_32x32.mat; label 10 means 0."""
    files = {name: Path(path, f"{name}_32x32.mat") for name in ("train", "test")}
    files = {name: file for name, file in files.items() if file.is_file()}
    if not files:
        raise NotFound(
            Argument("data", f"mat:{path}"),
            " holds neither train_32x32.mat nor test_32x32.mat: name the folder that holds the "
            "files of SVHN, format 2.",
        )
    train = files.get("train") if options.labels != "none" else None
    return Splits({name: functools.partial(_open, file, train) for name, file in files.items()})


def _open(file: Path, train: Path | None) -> ArraySource:
    images, labels = _read(file, ["X", "y"])
    if train is not None and train != file:
        unknown = np.setdiff1d(labels, _read(train, ["y"])[1])
        if len(unknown):
            raise unknown_class(f"mat:{file}", str(unknown[0]), f"mat:{train}")
    return array_source(images, labels, f"mat:{file}", [str(i) for i in range(10)])


def _read(file: Path, variables: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3), if `X` is among the variables, and labels (N,) int32."""
    from scipy.io import loadmat

    try:
        arrays = loadmat(file, variable_names=variables)
        images = np.empty((0, 32, 32, 3), np.uint8)
        if "X" in variables:
            images = np.ascontiguousarray(np.transpose(arrays["X"], (3, 0, 1, 2)))
        labels = arrays["y"].reshape(-1).astype(np.int32)
    except KeyError as error:
        raise corrupt(f"mat:{file}", ValueError(f"there is no variable {error}")) from error
    except Exception as error:  # corrupt files make SciPy raise nearly anything
        raise corrupt(f"mat:{file}", error) from error
    labels[labels == 10] = 0
    return images, labels
