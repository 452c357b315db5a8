"""Arrays on disk: scikit-learn's digits, .npz files, the .mat files of SVHN."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from and_tf.data.sources.source import ArraySource, array_source


def digits_splits() -> dict[str, Callable[[], ArraySource]]:
    """scikit-learn's 8x8 digits, split once and for all."""
    return {split: functools.partial(_open_digits, split) for split in ("train", "test")}


def _open_digits(split: str) -> ArraySource:
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ImportError("--data=digits needs scikit-learn: pip install scikit-learn") from error
    digits = load_digits()
    rows = train_test_split(
        np.arange(len(digits.images)), test_size=360, random_state=0, stratify=digits.target
    )
    rows = np.sort(rows[("train", "test").index(split)])
    images = np.round(digits.images[rows] * (255 / 16)).astype(np.uint8)  # (N, 8, 8)
    return array_source(images, digits.target[rows], "digits", [str(i) for i in range(10)])


def npz_splits(path: str) -> dict[str, Callable[[], ArraySource]]:
    """The splits of an .npz file, each as a function that opens it; pickles are refused."""
    with _open_npz(path) as arrays:
        keys = list(arrays.files)
    splits = [name for name in ("train", "test") if f"x_{name}" in keys]
    if not splits:
        raise ValueError(
            f"--data=npz:{path} needs the keys x_train, x_test (y_train, y_test for labels). "
            f"Received {', '.join(keys) or 'none'}."
        )
    return {name: functools.partial(_open_npz_split, path, name) for name in splits}


def _open_npz_split(path: str, split: str) -> ArraySource:
    with _open_npz(path) as arrays:
        try:
            images = arrays[f"x_{split}"]
            labels = arrays[f"y_{split}"] if f"y_{split}" in arrays.files else None
        except Exception as error:
            raise _file_error(f"npz:{path}", error) from error
    return array_source(images, labels, f"npz:{path} {split}")


def _open_npz(path: str) -> np.lib.npyio.NpzFile:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"--data=npz:{path} is no file: correct the path.")
    try:
        arrays = np.load(path, allow_pickle=False)
    except Exception as error:
        raise _file_error(f"npz:{path}", error) from error
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise ValueError(f"--data=npz:{path} is no .npz file: write it with numpy.savez.")
    return arrays


def mat_splits(path: str) -> dict[str, Callable[[], ArraySource]]:
    """The splits of a folder with SVHN's .mat files, each as a function that opens it."""
    files = {name: Path(path, f"{name}_32x32.mat") for name in ("train", "test")}
    files = {name: file for name, file in files.items() if file.is_file()}
    if not files:
        raise FileNotFoundError(
            f"--data=mat:{path} holds neither train_32x32.mat nor test_32x32.mat: name the folder "
            "that holds the files of SVHN, format 2."
        )
    return {name: functools.partial(_open_mat, file) for name, file in files.items()}


def _open_mat(file: Path) -> ArraySource:
    from scipy.io import loadmat

    try:
        arrays = loadmat(file, variable_names=["X", "y"])
        images = np.ascontiguousarray(np.transpose(arrays["X"], (3, 0, 1, 2)))  # (N, 32, 32, 3)
        labels = arrays["y"].reshape(-1).astype(np.int32)
    except Exception as error:
        reason = error
        if isinstance(error, KeyError):
            reason = ValueError(f"there is no variable {error}")
        raise _file_error(f"mat:{file}", reason) from error
    labels[labels == 10] = 0
    return array_source(images, labels, f"mat:{file}", [str(i) for i in range(10)])


def _file_error(spec: str, error: Exception) -> ValueError:
    reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
    return ValueError(f"Cannot read --data={spec} ({reason}): write or fetch the file again.")
