"""Typical images, which determine the ranges of int8, and on which exports are compared."""

import dataclasses
from typing import NamedTuple, Self

import numpy as np

from and_tf.data.settings import DataSettings
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.opening import open_train_and_held_out
from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced
from and_tf.runs.places import expanded
from and_tf.runs.workdir import Workdir

NUM_CALIBRATION, NUM_COMPARED = 128, 256  # images


class Samples(NamedTuple):
    """Two sets of images, disjoint if there are enough.

    Attributes:
        calibration: (n, side, side, 3) uint8.
        compared: (m, side, side, 3) uint8.
        are_random: whether they are noise, which says nothing about the ranges of real images.
    """

    calibration: np.ndarray
    compared: np.ndarray
    are_random: bool = False

    @classmethod
    def random(cls, side: int) -> Self:
        """Noise, which suffices for comparing float32."""
        images = np.random.default_rng(0).integers(0, 256, (16, side, side, 3)).astype("uint8")
        return cls(images, images, are_random=True)


def open_samples(run: Workdir, side: int, folder: str = "") -> Samples:
    """Reads images from a folder, or some that a run was trained on.

    Raises:
        UserError: if they cannot be opened.
    """
    if folder:
        source: Source = open_folder(expanded(folder))
    else:
        data = dataclasses.replace(run.read_settings(DataSettings), eval_crop=1.0)
        source, _ = open_train_and_held_out(data)  # the encoder crops the border itself
    rows = np.asarray(evenly_spaced(len(source), NUM_CALIBRATION + NUM_COMPARED))
    images = source.load(rows, side)
    if len(images) < 6:
        return Samples(images, np.resize(images, (6, side, side, 3)))
    is_calibration = np.arange(len(images)) % 3 == 0
    return Samples(images[is_calibration], images[~is_calibration])
