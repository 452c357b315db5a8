"""export.py: the encoder of a run in one format or all."""

import types
from pathlib import Path

import keras
import numpy as np

from and_tf.export.formats import FORMATS, SUFFIXES
from and_tf.export.verification import verify_export
from and_tf.export.writers import export_encoder
from and_tf.runs.restore import load_encoder
from and_tf.runs.workdir import Workdir, open_run

TOLERANCE = 1e-4  # largest difference of an embedding's value from the Keras encoder's


def export_run(options: types.SimpleNamespace) -> None:
    """Writes the encoder of a run and compares each file with the encoder.

    Args:
        options: values of `flags.export_flags()`.

    Raises:
        ValueError: if an export differs from the encoder.
    """
    run = open_run(options.workdir)
    chosen = FORMATS if options.format == "all" else (options.format,)
    if options.output and len(chosen) > 1:
        raise ValueError(
            f"--output={options.output} names one file: leave it out with --format=all, or choose "
            "one format."
        )
    encoder = load_encoder(run.path)
    side = encoder.input_shape[1]
    images = np.random.default_rng(0).integers(0, 256, (8, side, side, 3)).astype("uint8")
    for form in chosen:
        write_export(encoder, options.output or export_path(run, form), form, images)


def export_path(run: Workdir, form: str) -> Path:
    """Where the export of a run lies unless --output says otherwise."""
    return run.exports / f"encoder{SUFFIXES[form]}"


def write_export(encoder: keras.Model, path: Path | str, form: str, images: np.ndarray) -> None:
    """Exports, compares on images (8, side, side, 3) uint8, and says so in a line."""
    path = export_encoder(encoder, path, form)
    difference = verify_export(encoder, path, form, images)
    if not difference <= TOLERANCE:
        raise ValueError(
            f"{path} differs from the encoder by {difference:.2g}, more than {TOLERANCE:g}: do "
            "not use it; export in another format."
        )
    print(f"{form}: {path} (equal to the encoder within {difference:.1g})")
