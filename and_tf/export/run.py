"""The encoder of a run, exported in one format or all."""

import logging
import shutil
from pathlib import Path

import keras
import numpy as np

from and_tf.errors import Argument, UserError
from and_tf.export.formats import FORMATS
from and_tf.export.settings import ExportSettings
from and_tf.export.verification import verify_export
from and_tf.export.writing import export_encoder
from and_tf.runs.restore import restore_encoder
from and_tf.runs.settings import RunChoice
from and_tf.runs.workdir import Workdir, open_run

TOLERANCE = 1e-4  # largest difference of an embedding's value from the Keras encoder's

logger = logging.getLogger(__name__)


def export_run(choice: RunChoice, settings: ExportSettings) -> list[Path]:
    """Writes the encoder of a run and compares each file with the encoder.

    Args:
        choice: the run, and in which state.
        settings: formats and place.

    Returns:
        The paths that were written, one for each format.

    Raises:
        UserError: if the run, the state or the place does not fit, or if an export differs from
            the encoder.
    """
    run = open_run(choice.workdir)
    formats = list(FORMATS) if settings.format == "all" else [settings.format]
    if settings.output and len(formats) > 1:
        raise UserError(
            Argument("output", settings.output),
            " names one file: leave it out with ", Argument("format", "all"),
            ", or choose one format.",
        )  # fmt: skip
    restored = restore_encoder(run, choice.checkpoint)
    side = restored.encoder.input_shape[1]
    images = np.random.default_rng(0).integers(0, 256, (8, side, side, 3)).astype("uint8")
    written = [
        write_export(restored.encoder, settings.output or export_path(run, form), form, images)
        for form in formats
    ]
    logger.info("Encoder of step %s, from %s", f"{restored.step:,}", restored.path)
    return written


def export_finished_run(run: Workdir, encoder: keras.Model, images: np.ndarray) -> Path:
    """Writes what every finished run holds: a SavedModel and a `.keras` file.

    Args:
        run: whose folder it goes to.
        encoder: the trained encoder.
        images: (n, side, side, 3) uint8, to compare on.

    Returns:
        Path of the SavedModel.
    """
    for left_over in run.exports.glob(".encoder*"):  # by a kill during an earlier export
        if left_over.is_dir():
            shutil.rmtree(left_over)
    savedmodel, _ = (
        write_export(encoder, export_path(run, form), form, images)
        for form in ("savedmodel", "keras")
    )
    return savedmodel


def export_path(run: Workdir, form: str) -> Path:
    """Where the export of a run lies unless another place is given."""
    return run.exports / f"encoder{FORMATS[form].suffix}"


def write_export(encoder: keras.Model, path: Path | str, form: str, images: np.ndarray) -> Path:
    """Exports, compares on images (n, side, side, 3) uint8, and prints path and difference.

    Raises:
        UserError: as `export_encoder`; if the export differs from the encoder.
    """
    path = export_encoder(encoder, path, form)
    difference = verify_export(encoder, path, form, images)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{path} differs from the encoder by {difference:.2g}, more than {TOLERANCE:g}: do "
            "not use it; export in another format."
        )
    print(f"{form}: {path} (equal to the encoder within {difference:.1g})")
    return path
