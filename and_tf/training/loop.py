"""train.py: an experiment from its settings to its exported encoder, begun or continued."""

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.picture import save_grid
from and_tf.data.pipeline import batch_indices, sample_augmented, train_pipeline
from and_tf.errors import Argument, BrokenFile, StepNotFinite, Stopped, UserError
from and_tf.evaluation import extract
from and_tf.methods.method import TrainingContext
from and_tf.runs import checkpoint
from and_tf.runs.flag_file import flag_file_text
from and_tf.runs.workdir import Workdir
from and_tf.settings import differences, flat_values
from and_tf.training.build import Experiment, build_experiment, start_devices
from and_tf.training.callbacks import RunCallbacks, kept_metadata, restore_metadata, run_callbacks
from and_tf.training.hardware import log_devices, precision_policy, use_xla
from and_tf.training.online_evaluation import Monitor
from and_tf.training.settings import ExperimentSettings, read_settings
from and_tf.training.stopping import StopRequest
from and_tf.training.strategy import is_chief
from and_tf.training.summary import log_estimates, summarise

logger = logging.getLogger(__name__)


# Writes the encoder of a finished run into its folder, compared with the encoder on images
# (n, S, S, 3) uint8, and gives the place to name in the summary.
Export = Callable[[Workdir, keras.Model, np.ndarray], Path]


def run_experiment(settings: ExperimentSettings, export: Export) -> None:
    """Trains to the end of the plan, or goes on where the run in its folder stopped.

    Args:
        settings: of the experiment.
        export: is called when training has come to its end, before the summary marks the run as
            finished; after a kill between the two it is called again.

    Raises:
        UserError: if settings, images or the run in the folder do not fit; nothing is overwritten.
        OSError: if something cannot be written; the same command continues at the last checkpoint.
    """
    run = Workdir(settings.run.workdir or f"runs/{settings.run.name}", is_chief())
    settings = dataclasses.replace(settings, data=settings.data.absolute())
    settings = _with_precision(settings, run)
    is_continued = check_run_folder(run, settings)
    if run.summary.is_file():
        logger.info(
            "%s is finished: see %s. For a new run choose another folder.", run.path, run.summary
        )
        return
    start_devices(settings)
    experiment = build_experiment(settings, run)
    with run.locked():
        if check_run_folder(run, settings) != is_continued or run.summary.is_file():
            raise UserError(f"{run.path} was changed by another process: repeat the command.")
        _train(experiment, is_continued, export)


def _train(experiment: Experiment, is_continued: bool, export: Export) -> None:
    settings = experiment.settings
    stop, monitor = StopRequest(), make_monitor(experiment)
    of_method = settings.method.callbacks(training_context(experiment, stop))
    interrupted = None
    if is_continued:
        interrupted = continue_run(experiment, of_method, monitor)
    else:
        begin_run(experiment, monitor)
    replicas = experiment.model.distribute_strategy.num_replicas_in_sync
    log_devices(settings.devices.precision, use_xla(settings.devices.jit_compile, replicas))
    log_estimates(experiment, monitor)
    callbacks = run_callbacks(experiment, of_method, monitor, stop)
    started = time.monotonic()
    is_finished = fit(experiment, callbacks, stop, interrupted)
    if is_finished:
        finish_run(experiment, time.monotonic() - started, export)
    else:
        logger.info("Stopped after step %d. The same command continues.", experiment.step)


def _with_precision(settings: ExperimentSettings, run: Workdir) -> ExperimentSettings:
    """Settings with the Keras policy that `mixed` means: of a run that has begun, its own."""
    wanted = settings.devices.precision
    policy = precision_policy(wanted)
    if wanted == "mixed" and run.flags.is_file():
        kept = read_settings(run).devices.precision
        policy = kept if kept.startswith("mixed_") else policy
    return dataclasses.replace(
        settings, devices=dataclasses.replace(settings.devices, precision=policy)
    )


def check_run_folder(run: Workdir, settings: ExperimentSettings) -> bool:
    """Whether the folder holds this very experiment, begun.

    Raises:
        UserError: if it holds another one, or something else.
    """
    flag_file_text(settings)  # a value that it cannot hold is refused before anything is written
    folder = Argument("workdir", str(run.path))
    if any(parent.is_file() for parent in run.path.absolute().parents):
        raise UserError(folder, " lies below a file: choose another.")
    if not run.flags.is_file():
        if run.path.exists() and (not run.path.is_dir() or _foreign_files(run)):
            raise UserError(folder, " is not empty and holds no run: choose another.")
        return False
    kept = read_settings(run)
    before, after = flat_values(kept), flat_values(settings)
    different: list[Any] = []
    names = differences(kept, settings, settings.run.deterministic)
    if run.summary.is_file():  # its images are not looked at: a run of others is not this one
        known = flat_values(kept.data.absolute())
        names += [name for name in ("data", "eval_data") if known[name] != after[name]]
    for name in names:
        if name in before:
            different += [", " if different else "", Argument(name, before[name])]
            different += [f", now {after[name]}"]
    if different:
        raise UserError(
            folder, " holds a run with other settings (", *different, "): choose another, or "
            "another ", Argument("name"), ", or repeat its settings.",
        )  # fmt: skip
    return run.checkpoint.is_file() or run.previous_checkpoint.is_file()


def _foreign_files(run: Workdir) -> set[str]:
    """What stands in a folder besides the traces of a start that was killed at once."""
    return {path.name for path in run.path.iterdir()} - {"lock", "flags.cfg.partial"}


def make_monitor(experiment: Experiment) -> Monitor:
    """What measures the evaluations of a run."""
    settings = experiment.settings
    return Monitor(
        experiment.train,
        experiment.held_out,
        settings.augmentation,
        settings.run.eval_images,
    )


def training_context(experiment: Experiment, stop: StopRequest) -> TrainingContext:
    """What a method may look at beside the steps."""
    size = experiment.settings.augmentation.image_size
    return TrainingContext(
        train=experiment.train,
        steps_per_epoch=experiment.steps_per_epoch,
        seed=experiment.settings.run.seed,
        extract_features=lambda: extract(
            experiment.model.encoder, experiment.train, size, progress=False
        ),
        interruptible=stop.interruptible,
    )


def begin_run(experiment: Experiment, monitor: Monitor) -> None:
    """Writes what a new run starts from."""
    run, settings = experiment.run, experiment.settings
    raw = monitor.raw_pixels()
    measured = {} if raw is None else {"raw_pixels_knn_top1": raw}
    run.write_flags(settings)
    run.write_images(experiment.images)
    run.write_metadata(experiment.metadata | measured)
    run.forget_after(-1)
    if run.can_write():
        augmented = sample_augmented(
            experiment.train, settings.augmentation, seed=settings.run.seed
        )
        save_grid(augmented, run.augmented)


def continue_run(
    experiment: Experiment, of_method: list[keras.callbacks.Callback], monitor: Monitor
) -> dict[str, Any] | None:
    """Restores the last checkpoint and forgets metrics measured after it.

    Returns:
        The epoch and logs of an epoch whose evaluation was interrupted; None if there is none.
    """
    run = experiment.run
    arrays, metadata, path = run.load_checkpoint()
    expected = {"step", "best", *kept_metadata(of_method)}
    if missing := expected - metadata.keys():
        raise BrokenFile(
            f"The checkpoint {path} lacks {', '.join(sorted(missing))}: continue it with the "
            "version of this program that wrote it, or train anew in another ",
            Argument("workdir"), ".",
        )  # fmt: skip
    state = checkpoint.training_state(experiment.model) | monitor.state
    checkpoint.restore(state, arrays, path)
    if run.can_write() and path != run.checkpoint and run.checkpoint.is_file():
        # Not to take the place of the valid one.
        os.replace(run.checkpoint, run.checkpoint.with_suffix(".damaged"))
    restore_metadata(of_method, metadata)
    kept = read_settings(run)
    if kept.data != experiment.settings.data:  # the images were moved: to find them from now on
        run.write_flags(dataclasses.replace(kept, data=experiment.settings.data))
    monitor.best = metadata["best"]
    run.forget_after(metadata["step"])
    logger.info(
        "Continuing %s after step %d of %d.", run.path, metadata["step"], experiment.total_steps
    )
    return metadata.get("interrupted")


def fit(
    experiment: Experiment,
    callbacks: RunCallbacks,
    stop: StopRequest,
    interrupted: dict[str, Any] | None = None,
) -> bool:
    """Trains to the end of the plan, or until a stop is asked for.

    Args:
        interrupted: epoch and logs of an epoch whose end is to be repeated first.

    Returns:
        Whether the end was reached, and all that comes with it.
    """
    checkpoints = callbacks.checkpoints
    if not experiment.is_epoch_end():
        checkpoints.loss_to_restore = [v.numpy() for v in experiment.model.loss_tracker.variables]
    if not experiment.settings.method.trains:
        interrupted = {"epoch": experiment.plan.total_epochs - 1, "logs": {}}
    is_finished = False
    with contextlib.suppress(Stopped), stop.watched():  # stopped in work that will be repeated
        if interrupted is not None:
            _end_epoch(experiment, callbacks, **interrupted)
        while experiment.step < experiment.total_steps and not stop.is_asked:
            _fit_part(experiment, callbacks.all)
        is_finished = experiment.step == experiment.total_steps
    callbacks.log.close()
    return is_finished


def _end_epoch(
    experiment: Experiment, callbacks: RunCallbacks, epoch: int, logs: dict[str, Any]
) -> None:
    """What `fit` does at an epoch's end, and had begun when the run was stopped."""
    experiment.run.forget_after(experiment.step - 1)  # by a repetition that was killed
    callbacks.checkpoints.saved_step = -1  # what is saved lacks the epoch's end
    everything = keras.callbacks.CallbackList(callbacks.all, model=experiment.model)
    everything.on_train_begin()
    everything.on_epoch_end(epoch, logs)
    everything.on_train_end()
    callbacks.checkpoints.save()


def _fit_part(experiment: Experiment, callbacks: list[keras.callbacks.Callback]) -> None:
    """The rest of a broken epoch on its own, else all epochs that are left."""
    epoch = experiment.step // experiment.steps_per_epoch
    last = experiment.plan.total_epochs if experiment.is_epoch_end() else epoch + 1
    failures: list[UserError] = []
    images = train_pipeline(
        experiment.train,
        experiment.settings.optimizer.batch_size,
        experiment.settings.augmentation,
        experiment.settings.run.seed,
        step=experiment.model.optimizer.iterations,
        yields=experiment.yields,
        failures=failures,
    )
    try:
        experiment.model.fit(
            images, initial_epoch=epoch, epochs=last, callbacks=callbacks, verbose=0, shuffle=False
        )
    except StepNotFinite as error:
        raise _step_not_finite(experiment) from error
    except tf.errors.OpError as error:
        if failures:  # of the pipeline, which reads files late
            raise failures[0] from error
        raise


def _step_not_finite(experiment: Experiment) -> StepNotFinite:
    """What to say of a step whose loss or gradient is not finite; nothing of it was applied."""
    step, settings = experiment.step, experiment.settings
    indices = batch_indices(
        len(experiment.train), settings.optimizer.batch_size, settings.run.seed, step
    ).numpy()
    return StepNotFinite(
        f"The loss or its gradient is NaN or infinite in step {step + 1}, images "
        f"{', '.join(map(str, indices))}: lower ",
        Argument("learning_rate", settings.optimizer.learning_rate), " or raise ",
        Argument("temperature", experiment.model.temperature), ", in another ",
        Argument("workdir"), ". The last checkpoint is kept.",
    )  # fmt: skip


def finish_run(experiment: Experiment, seconds: float, export: Export) -> None:
    """Exports the encoder, then writes the summary, which marks the run as finished."""
    run = experiment.run
    if not run.can_write():
        return
    size = experiment.settings.augmentation.image_size
    images = experiment.train.load(range(min(8, len(experiment.train))), size)
    exported = export(run, experiment.model.encoder, images)
    text = summarise(experiment, seconds, exported)
    run.write_summary(text)
    print(text, end="")
