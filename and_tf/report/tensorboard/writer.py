"""Writes a run for TensorBoard: projector, neighbour images by round and hyperparameters.

Everything is in a folder of its own inside the run's log directory. The projector finds the folder
by the event file of the hyperparameters, so TensorBoard shows it next to the run's curves.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from and_tf.errors import UserError
from and_tf.report.tensorboard.gallery import gallery_picture
from and_tf.report.tensorboard.projector import CONFIG, Points, write_projector
from and_tf.runs.atomic_files import replace_by
from and_tf.runs.system_errors import system_errors


def write_tensorboard(
    folder: Path,
    points: Points,
    galleries: Mapping[int, np.ndarray] | None = None,
    is_wrong: Mapping[int, np.ndarray] | None = None,
    experiment: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Writes a folder for TensorBoard; it is replaced each time, so that nothing appears twice.

    Args:
        folder: RUN/tensorboard/report; replaced once the new one is complete.
        points: of the projector.
        galleries: by round, (m, 1 + k, H, W, 3) uint8: rows of a query and its nearest images.
        is_wrong: by round, (m, 1 + k) bool: tiles to frame in red; left out without labels.
        experiment: settings that change the result, by name.
        metrics: by which to compare experiments, such as knn_top1.

    Raises:
        UserError: if `folder` holds something else.
        OSError: if it cannot be written.
    """

    def write(partial: Path) -> None:
        partial.mkdir()
        with system_errors(partial):
            write_projector(partial, points)
            writer = tf.summary.create_file_writer(str(partial))
            with writer.as_default():
                _write_galleries(galleries or {}, is_wrong or {})
                hparams_api.hparams(dict(experiment or {}))
                for name, value in (metrics or {}).items():
                    tf.summary.scalar(name, value, step=0)
            writer.close()

    check_folder(folder)
    replace_by(folder, write)


def check_folder(folder: Path) -> None:
    """Raises a UserError if a folder holds anything but what `write_tensorboard` wrote."""
    if not folder.is_dir() or (folder / CONFIG).is_file():
        return
    if any(not path.name.startswith(".") for path in folder.iterdir()):  # .DS_Store and the like
        raise UserError(f"{folder} holds files other than a report's: move them away.")


def _write_galleries(
    galleries: Mapping[int, np.ndarray], is_wrong: Mapping[int, np.ndarray]
) -> None:
    """Writes one picture per round, with the round as its step: the slider selects the round."""
    for number, tiles in sorted(galleries.items()):
        wrong = is_wrong.get(number, np.zeros(tiles.shape[:2], bool))
        picture = np.asarray(gallery_picture(tiles, wrong))
        text = "A query and its nearest images in each row; those of another class framed in red."
        tf.summary.image("neighbours", picture[None], step=number, description=text)
