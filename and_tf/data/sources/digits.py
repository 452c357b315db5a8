"""scikit-learn's 8x8 digits."""

import functools

import numpy as np

from and_tf.data.sources.arrays import ArraySource, array_source
from and_tf.data.splits import SourceOptions, Splits
from and_tf.errors import Argument, MissingPackage


def digits_splits(path: str, options: SourceOptions) -> Splits:
    """The digits in a fixed split; path and options are not used."""
    return Splits({name: functools.partial(_open, name) for name in ("train", "test")})


def _open(split: str) -> ArraySource:
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise MissingPackage(
            Argument("data", "digits"), " needs scikit-learn: pip install scikit-learn"
        ) from error
    digits = load_digits()
    rows = train_test_split(
        np.arange(len(digits.images)), test_size=360, random_state=0, stratify=digits.target
    )
    rows = np.sort(rows[("train", "test").index(split)])
    images = np.round(digits.images[rows] * (255 / 16)).astype(np.uint8)  # (N, 8, 8)
    return array_source(images, digits.target[rows], "digits", [str(i) for i in range(10)])
