"""The encoder of a run, exported in one format or all."""

import logging
from pathlib import Path

import keras
import numpy as np

from and_tf.data.decode import centre_start
from and_tf.data.settings import DataSettings
from and_tf.encoders.border import with_border
from and_tf.encoders.pooling import chosen_layer, pooled_features
from and_tf.encoders.stages import AUTO_LAYER
from and_tf.errors import Argument, BrokenImage, UserError
from and_tf.export.formats import FORMATS
from and_tf.export.native_messages import native_messages_held
from and_tf.export.samples import Samples, open_samples
from and_tf.export.settings import ExportSettings
from and_tf.export.verification import measure_agreement, verify_export
from and_tf.export.writing import export_encoder
from and_tf.runs.restore import restore_encoder
from and_tf.runs.settings import RunChoice
from and_tf.runs.workdir import Workdir, open_run

FORMATS_AT_END = ("savedmodel", "keras")  # exported at the end of every run
TOLERANCE = 1e-4  # largest difference of a value of an embedding from the Keras encoder's

logger = logging.getLogger(__name__)


def export_run(choice: RunChoice, settings: ExportSettings) -> list[Path]:
    """Writes the encoder of a run and compares each file with the encoder.

    Args:
        choice: the run and its checkpoint.
        settings: formats, layer and path.

    Returns:
        The paths that were written, one for each format.

    Raises:
        UserError: if the run, the checkpoint or the path does not fit, or if an export differs from
            the encoder.
    """
    run = open_run(choice.workdir)
    run.check_folders()
    formats = list(FORMATS) if settings.format == "all" else [settings.format]
    if settings.output and len(formats) > 1:
        raise UserError(
            Argument("output", settings.output),
            " names one file: leave it out with ", Argument("format", "all"),
            ", or choose one format.",
        )  # fmt: skip
    restored = restore_encoder(run, choice.checkpoint)
    layer = chosen_layer(restored.encoder, settings.layer)
    encoder = _for_export(run, restored.encoder, layer)
    samples = _samples(run, encoder, settings, formats)
    if samples.are_random and settings.format == "all":
        formats = [form for form in formats if not FORMATS[form].needs_images]
    written = [
        write_export(encoder, settings.output or export_path(run, form), form, samples, layer)
        for form in formats
    ]
    logger.info("Layer %s in step %s, from %s", layer, f"{restored.step:,}", restored.path)
    return written


def _for_export(run: Workdir, encoder: keras.Model, layer: str) -> keras.Model:
    """The features of a layer, from images that are resized as in the run's evaluations."""
    eval_crop = run.read_settings(DataSettings).eval_crop
    return pooled_features(with_border(encoder, eval_crop), layer)


def _samples(
    run: Workdir, encoder: keras.Model, settings: ExportSettings, formats: list[str]
) -> Samples:
    """Images to compare on; random ones if no others are needed or can be opened."""
    side = encoder.input_shape[1]
    if all(FORMATS[form].min_cosine is None for form in formats):
        return Samples.random(side)
    try:
        return open_samples(run, side, settings.images)
    except UserError as error:
        if isinstance(error, BrokenImage):
            error = error.with_remedy("repair or remove it.")
        if settings.images or any(FORMATS[form].needs_images for form in formats[:1]):
            raise UserError(
                *error.parts, " To take the ranges of int8 from other photos, name a folder with ",
                Argument("images"), ".",
            ) from error  # fmt: skip
        logger.warning("Comparing on random images, without int8: %s", error)
        return Samples.random(side)


def export_finished_run(run: Workdir, encoder: keras.Model, images: np.ndarray) -> Path:
    """Writes the exports of a finished run: the layer `auto` in `FORMATS_AT_END`.

    Args:
        run: whose folder they are written to.
        encoder: the trained encoder.
        images: (n, side, side, 3) uint8, to compare on.

    Returns:
        Path of the first export, the SavedModel.
    """
    layer = chosen_layer(encoder, AUTO_LAYER)
    encoder = _for_export(run, encoder, layer)
    border = encoder.input_shape[1] - images.shape[1]
    start = centre_start(encoder.input_shape[1], images.shape[1])
    margin = (start, border - start)
    images = np.pad(images, [(0, 0), margin, margin, (0, 0)])
    written = [
        write_export(encoder, export_path(run, form), form, Samples(images, images), layer)
        for form in FORMATS_AT_END
    ]
    return written[0]


def export_path(run: Workdir, form: str) -> Path:
    """The default path of a run's export in a format, such as `encoder_fp16.onnx`."""
    _, underscore, precision = form.partition("_")
    return run.exports / f"encoder{underscore}{precision}{FORMATS[form].suffix}"


def write_export(
    encoder: keras.Model, path: Path | str, form: str, samples: Samples, layer: str
) -> Path:
    """Exports an encoder, compares on images, and prints path and difference or agreement.

    Args:
        encoder: whose output is exported.
        path: of the export.
        form: one of FORMATS.
        samples: images to compare on.
        layer: of the run's network, whose features these are, for the metadata.

    Raises:
        UserError: as in `export_encoder`, or if the export differs from the encoder.
    """
    with native_messages_held():
        return _write_export(encoder, path, form, samples, layer)


def _write_export(
    encoder: keras.Model, path: Path | str, form: str, samples: Samples, layer: str
) -> Path:
    images = None if samples.are_random else samples.calibration
    told: list[str] = []

    def check(new: Path) -> None:
        told.append(_compare(encoder, new, form, samples, path))

    path = export_encoder(encoder, path, form, images, layer, check)
    print(f"{form}: {path} ({told[0]})")
    return path


def _compare(encoder: keras.Model, new: Path, form: str, samples: Samples, path: Path | str) -> str:
    """Describes how close an export is to its encoder, and refuses one that is not close.

    Args:
        encoder, form, samples: as in `write_export`.
        new: the temporary path of the export.
        path: its final path, for the message.
    """
    lowest = FORMATS[form].min_cosine
    if lowest is None:
        difference = verify_export(encoder, new, form, samples.compared[:8])
        is_close = difference <= TOLERANCE
        told = f"equal to the encoder within {difference:.1g}"
        differs = f"differs from the encoder by {difference:.2g}, more than {TOLERANCE:g}"
    else:
        agreement = measure_agreement(encoder, new, samples.compared)
        is_close = agreement.min_cosine >= lowest
        told = str(agreement)
        differs = f"has a {agreement}: at least {lowest:g} is required"
    if not is_close:
        raise UserError(
            f"{path} is not written, because the new export {differs}: export in another format."
        )
    return told
