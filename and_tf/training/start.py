"""Starts or continues a run: its folder is checked, written or restored."""

import dataclasses
import logging
import os
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from and_tf.data.picture import grid, png
from and_tf.data.pipeline import sample_augmented
from and_tf.data.settings import OF_INIT
from and_tf.encoders.layers import in_float32
from and_tf.errors import Argument, BrokenFile, UserError
from and_tf.evaluation import extract
from and_tf.runs import checkpoint
from and_tf.runs.atomic_files import is_leftover, replace_file
from and_tf.runs.flag_file import flag_file_text
from and_tf.runs.own_checkpoint import of_another_run
from and_tf.runs.places import check_local
from and_tf.runs.workdir import Workdir
from and_tf.settings import differences, flat_values
from and_tf.training.build import Experiment, total_steps
from and_tf.training.callbacks import callback_metadata, restore_metadata
from and_tf.training.contradictions import contradiction, epochs_without_metrics
from and_tf.training.encoder import size_of_start
from and_tf.training.hardware import precision_policy
from and_tf.training.online_evaluation import Monitor
from and_tf.training.settings import ExperimentSettings, read_settings

logger = logging.getLogger(__name__)


def settings_of_run(settings: ExperimentSettings, run: Workdir) -> ExperimentSettings:
    """Settings as the run stores them: paths are absolute, machine-dependent values resolved.

    The latter are the image size of pretrained weights, and the Keras policy that `mixed` means.
    """
    settings = dataclasses.replace(
        settings, data=settings.data.absolute(), encoder=settings.encoder.absolute()
    )
    if settings.augmentation.image_size == OF_INIT:
        size = _size_of_run(run) or size_of_start(settings.encoder.init)
        augmentation = dataclasses.replace(settings.augmentation, image_size=size)
        settings = dataclasses.replace(settings, augmentation=augmentation)
    wanted = settings.devices.precision
    policy = precision_policy(wanted)
    if wanted == "mixed" and run.flags.is_file() and run.holds_state():
        kept = read_settings(run).devices.precision  # it may mean another policy on this machine
        policy = kept if kept.startswith("mixed_") else policy
    devices = dataclasses.replace(settings.devices, precision=policy)
    return dataclasses.replace(settings, devices=devices)


def _size_of_run(run: Workdir) -> int | None:
    """The image size that a run was begun with, which makes opening its weights unnecessary."""
    if not run.flags.is_file() or not run.holds_state():
        return None
    return read_settings(run).augmentation.image_size


def state_of(run: Workdir) -> dict[str, Any]:
    """Descriptions of a run's main files, to check that several processes see the same folder."""
    small = (run.flags, run.metadata, run.images, run.summary)
    contents = {path: _checksum(path) for path in small if path.is_file()}
    state = {path.name: f"there (CRC-32 {crc:08x})" for path, crc in contents.items()}
    if run.checkpoint.is_file():
        state[run.checkpoint.name] = f"there ({run.checkpoint.stat().st_size:,} bytes)"
    return state


def _checksum(path: Path) -> int:
    checksum = 0
    with open(path, "rb") as file:
        while part := file.read(1 << 20):  # a foreign file may have any size
            checksum = zlib.crc32(part, checksum)
    return checksum


def check_run_folder(run: Workdir, settings: ExperimentSettings) -> bool:
    """Whether the folder contains this experiment, already begun.

    If nothing has been saved, it may be begun again, even with other settings and images.

    Raises:
        UserError: if it contains another run or something else.
    """
    flag_file_text(settings)  # refuses values that it cannot represent, before anything is written
    folder = Argument("workdir", str(run.path))
    check_local("workdir", run.path)
    if any(parent.is_file() for parent in run.path.absolute().parents):
        raise UserError(folder, " is below a file: choose another.")
    if not run.flags.is_file():
        if run.path.exists() and (not run.path.is_dir() or _foreign_files(run)):
            raise UserError(folder, " is not empty and holds no run: choose another.")
        return False
    if not run.holds_state():
        return False
    if different := _differences(run, settings):
        by_name = [] if settings.run.workdir else ["another ", Argument("name"), ", or "]
        raise UserError(
            folder, " holds a run with other settings (", *different, "): choose another, or ",
            *by_name, "repeat its settings.",
        )  # fmt: skip
    return run.checkpoint.is_file() or run.previous_checkpoint.is_file()


def _differences(run: Workdir, settings: ExperimentSettings) -> list[Any]:
    """Parts of a message on the settings that would change the result; empty if none differs."""
    kept = read_settings(run)
    before, after = flat_values(kept), flat_values(settings)
    names = differences(kept, settings, settings.run.deterministic)
    if run.summary.is_file():  # a finished run's images are not read, so their paths must be equal
        known = flat_values(kept.data.absolute())
        names += [name for name in ("data", "eval_data") if known[name] != after[name]]
    parts: list[Any] = []
    for name in names:
        if name in before:
            separator = ", " if parts else ""
            parts += [separator, Argument(name, before[name]), f", now {after[name]}"]
    return parts


def _foreign_files(run: Workdir) -> set[str]:
    """What a folder contains besides the traces of a start that was killed immediately."""
    return {path.name for path in run.path.iterdir() if not is_leftover(path)} - {"lock"}


def is_finished(run: Workdir, settings: ExperimentSettings) -> bool:
    """Whether a run of these settings is finished, including its export.

    Raises:
        UserError: if there is a summary, but the checkpoint is missing or not of the last step.
    """
    if not run.summary.is_file():
        return False
    state = "there is no checkpoint"
    if run.checkpoint.is_file() or run.previous_checkpoint.is_file():
        _, metadata, path = run.load_checkpoint(prefix=())
        images = run.read_metadata().get("images")
        if images is None or metadata["step"] == total_steps(settings, images):
            return True
        last = total_steps(settings, images)
        state = f"the newest checkpoint, {path}, is of step {metadata['step']} of {last}"
    raise UserError(
        f"{run.summary} says that the run is finished, and {state}: restore the last checkpoint, "
        f"remove {run.summary.name} to train on, or choose another ", Argument("workdir"), ".",
    )  # fmt: skip


def begin_run(experiment: Experiment, monitor: Monitor) -> None:
    """Writes the files with which a new run starts."""
    run, settings = experiment.run, experiment.settings
    if run.flags.is_file():
        logger.info("No trained state is kept in %s: the run starts again.", run.path)
    run.write_flags(settings)
    if settings.keeps_network:
        run.write_network(in_float32(experiment.model.encoder))
    elif run.can_write():
        run.network.unlink(missing_ok=True)  # from an earlier start with other settings
    run.write_images(experiment.images)
    run.write_metadata(experiment.metadata | monitor.raw_pixels())
    run.forget_after(-1)
    if run.can_write():
        augmented = sample_augmented(
            experiment.train, settings.augmentation, seed=settings.run.seed
        )
        replace_file(run.augmented, png(grid(augmented)))


def start_from_weights(experiment: Experiment, monitor: Monitor) -> None:
    """Embeds the training images for a new run that starts from pretrained weights.

    The method starts from these embeddings, and their kNN accuracy is stored for comparison.
    """
    settings, run = experiment.settings, experiment.run
    logger.info("Embedding the images by the weights of %s", settings.encoder.init)
    rows = extract(
        experiment.model.encoder,
        experiment.train,
        settings.augmentation.image_size,
        sharing=experiment.workers.sharing,
    )
    experiment.model.start_from(rows)
    top1 = monitor.held_out_top1(experiment.model, rows)
    if top1 is not None and run.can_write():
        logger.info("kNN of the weights as they are: %.1f %%", top1)
        run.write_metadata(run.read_metadata() | {"init_knn_top1": top1})


def continue_run(
    experiment: Experiment, of_method: list[keras.callbacks.Callback], monitor: Monitor
) -> dict[str, Any] | None:
    """Restores the last checkpoint and discards metrics measured after it.

    Returns:
        The epoch and logs of an epoch whose evaluation was interrupted; None if there is none.
    """
    run = experiment.run
    arrays, metadata, path = run.load_checkpoint()
    experiment.workers.agree("checkpoints", {"step": metadata.get("step")})
    expected = {"step", "best", *callback_metadata(of_method)}
    if missing := expected - metadata.keys():
        raise BrokenFile(
            f"The checkpoint {path} lacks {', '.join(sorted(missing))}: continue it with the "
            "version of this program that wrote it, or train again in another ",
            Argument("workdir"), ".",
        )  # fmt: skip
    _check_place(experiment, metadata, arrays, path)
    state = checkpoint.training_state(experiment.model) | monitor.state
    checkpoint.restore(state, arrays, path, _ranges(experiment, monitor))
    if experiment.step != metadata["step"]:
        raise _corrupt(path, f"its optimizer is at step {experiment.step}, not {metadata['step']}")
    if run.can_write() and path != run.checkpoint and run.checkpoint.is_file():
        # So that the corrupt one is not used instead of the valid one.
        os.replace(run.checkpoint, run.checkpoint.with_suffix(".corrupt"))
    restore_metadata(of_method, metadata)
    kept = read_settings(run)
    if kept.data != experiment.settings.data:  # the images were moved: store where they are
        run.write_flags(dataclasses.replace(kept, data=experiment.settings.data))
    monitor.best = metadata["best"]
    run.forget_after(metadata["step"])
    count, first = epochs_without_metrics(metadata, run.read_metrics(), experiment.steps_per_epoch)
    if count > 0:
        logger.warning(
            "%s lacks the metrics of %d of the epochs before step %d; the first is epoch %d.",
            run.metrics, count, metadata["step"], first,
        )  # fmt: skip
    logger.info(
        "Continuing %s after step %d of %d.", run.path, metadata["step"], experiment.total_steps
    )
    return metadata.get("interrupted")


def _check_place(
    experiment: Experiment, metadata: dict[str, Any], arrays: dict[str, np.ndarray], path: Path
) -> None:
    """Checks that a checkpoint belongs to these images and is consistent with its step.

    Raises:
        BrokenFile: if not; nothing has been changed.
    """
    images = metadata.get("origin", {}).get("images")
    if images not in (None, experiment.images.content):
        raise of_another_run(path, ["other images"])
    step, last = metadata["step"], experiment.total_steps
    if step > last:  # found here if flags.cfg does not tell, or the method takes fewer steps
        raise _corrupt(path, f"it is of step {step}, and the run has {last}")
    if fault := contradiction(experiment, metadata, arrays):
        raise _corrupt(path, fault)


def _ranges(experiment: Experiment, monitor: Monitor) -> dict[str, tuple[float, float]]:
    """The valid range of values in the state of a run, where it is limited."""
    ranges = experiment.model.state_ranges() | monitor.state_ranges()
    if "round" in ranges:
        ranges["round"] = (0, experiment.plan.rounds)
    return ranges


def _corrupt(path: Path, reason: str) -> BrokenFile:
    return BrokenFile(
        f"The checkpoint {path} is corrupt ({reason}): restore it from a copy, or train again in "
        "another ", Argument("workdir"), ".",
    )  # fmt: skip
