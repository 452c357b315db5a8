"""train.py: an experiment from its settings to its exported encoder, begun or continued."""

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.cache import whole_images
from and_tf.data.photo_processes import PhotoProcesses
from and_tf.data.pipeline import batch_indices, train_pipeline
from and_tf.data.workers import num_cores
from and_tf.errors import Argument, StepNotFinite, Stopped, UserError
from and_tf.evaluation import extract
from and_tf.methods.method import TrainingContext
from and_tf.methods.replicas import check_xla
from and_tf.runs.discovery_blocks import DiscoveryBlocks
from and_tf.runs.workdir import Workdir
from and_tf.training.build import (
    Experiment,
    build_experiment,
    possible_remedy,
    start_devices,
)
from and_tf.training.callbacks import RunCallbacks, run_callbacks
from and_tf.training.hardware import has_gpu, log_devices, use_xla
from and_tf.training.heartbeat import Heartbeat
from and_tf.training.online_evaluation import Monitor
from and_tf.training.settings import ExperimentSettings
from and_tf.training.start import (
    begin_run,
    check_run_folder,
    continue_run,
    is_finished,
    settings_of_run,
    start_from_weights,
    state_of,
)
from and_tf.training.stopping import StopRequest
from and_tf.training.summary import log_estimates, summarise
from and_tf.training.workers import Workers, workers_of

logger = logging.getLogger(__name__)

# Writes the encoder of a finished run into its folder, compared with the encoder on images
# (n, S, S, 3) uint8, and gives the place to name in the summary.
Export = Callable[[Workdir, keras.Model, np.ndarray], Path]

# Lines on what a finished run is worth.
Judge = Callable[[Experiment], list[str]]


def run_experiment(
    settings: ExperimentSettings, export: Export, judge: Judge = lambda experiment: []
) -> bool:
    """Trains to the end of the plan, or goes on where the run in its folder stopped.

    Args:
        settings: of the experiment.
        export: is called when training has come to its end, before the summary marks the run as
            finished; after a kill between the two it is called again.
        judge: gives lines for the end of the summary.

    Returns:
        Whether the run is finished; else a stop was asked for, and the same settings continue it.
        Of several processes, only the one that writes the folder says so.

    Raises:
        UserError: if settings, images or the run in the folder do not fit; nothing is overwritten.
        OSError: if something cannot be written; the same command continues at the last checkpoint.
    """
    with workers_of(settings) as workers:
        return run_by(workers, settings, export, judge) and workers.is_chief


def run_by(
    workers: Workers,
    settings: ExperimentSettings,
    export: Export,
    judge: Judge = lambda experiment: [],
) -> bool:
    """`run_experiment` by the devices or processes of `workers_of`."""
    if settings.devices.jit_compile == "on":
        check_xla(workers.strategy)
    run = Workdir(settings.run.folder, workers.is_chief)
    settings = settings_of_run(settings, run)
    is_continued = check_run_folder(run, settings)
    workers.agree("folders of the run", state_of(run) if workers.channel else {})
    # What computes decides which collectives there are.
    device = "a GPU" if has_gpu() else "a CPU"
    workers.agree("devices", {"device": device, "precision": settings.devices.precision})
    if is_finished(run, settings):
        logger.info(
            "%s is finished: see %s. For a new run choose another folder.", run.path, run.summary
        )
        return True
    with Heartbeat().beating() as heartbeat:
        start_devices(settings)
        heartbeat.describe("reading and checking images")
        experiment = build_experiment(settings, run, workers)
        with run.locked():
            is_other = check_run_folder(run, settings) != is_continued or run.summary.is_file()
            if workers.is_chief and is_other:
                raise UserError(f"{run.path} was changed by another process: repeat the command.")
            workers.wait_for_all("built")  # nothing was written yet
            stop = StopRequest(is_agreed=workers.channel is not None)
            started = time.monotonic()
            if not _train(experiment, is_continued, stop, heartbeat):
                logger.info("Stopped after step %d. The same command continues.", experiment.step)
                return False
            heartbeat.end()
            workers.part()
            alone = stop if workers.channel is None else StopRequest()
            return finish_run(experiment, time.monotonic() - started, export, judge, alone)


def _train(
    experiment: Experiment, is_continued: bool, stop: StopRequest, heartbeat: Heartbeat
) -> bool:
    """Whether training has come to its end."""
    settings = experiment.settings
    monitor = make_monitor(experiment)
    of_method = settings.method.callbacks(training_context(experiment, stop))
    interrupted = None
    if is_continued:
        interrupted = continue_run(experiment, of_method, monitor)
    else:
        begin_run(experiment, monitor)
        if settings.encoder.init:
            heartbeat.describe("embedding the images by the weights that the run starts from")
            start_from_weights(experiment, monitor)
            heartbeat.describe("preparing the first step")
    replicas = experiment.model.distribute_strategy.num_replicas_in_sync
    if experiment.workers.is_chief:
        log_devices(settings.devices.precision, use_xla(settings.devices.jit_compile, replicas))
        log_estimates(experiment, monitor)
    callbacks = run_callbacks(experiment, of_method, monitor, stop, heartbeat)
    return fit(experiment, callbacks, stop, interrupted)


def make_monitor(experiment: Experiment) -> Monitor:
    """What measures the evaluations of a run."""
    settings = experiment.settings
    return Monitor(
        experiment.train,
        experiment.held_out,
        settings.augmentation,
        settings.run.eval_images,
        experiment.workers.sharing,
    )


def training_context(experiment: Experiment, stop: StopRequest) -> TrainingContext:
    """What a method may look at beside the steps."""
    size = experiment.settings.augmentation.image_size
    sharing = experiment.workers.sharing
    return TrainingContext(
        train=experiment.train,
        steps_per_epoch=experiment.steps_per_epoch,
        seed=experiment.settings.run.seed,
        extract_features=lambda model=None: extract(
            model or experiment.model.encoder,
            experiment.train,
            size,
            progress=False,
            sharing=sharing,
        ),
        interruptible=stop.interruptible,
        sharing=sharing,
        discovery_blocks=DiscoveryBlocks(
            experiment.run, lambda: {"step": experiment.step, "origin": experiment.origin()}
        ),
    )


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
    if not experiment.total_steps:
        interrupted = {"epoch": experiment.plan.total_epochs - 1, "logs": {}}
    is_finished = False
    # Stopped in work that will be repeated; what was promised to be saved is written first.
    with (
        contextlib.suppress(Stopped),
        stop.watched(),
        checkpoints.writer.ended(),
        photo_processes(experiment) as processes,
    ):
        if interrupted is not None:
            _end_epoch(experiment, callbacks, **interrupted)
        while experiment.step < experiment.total_steps and not stop.is_asked:
            _fit_part(experiment, callbacks, processes)
        is_finished = experiment.step == experiment.total_steps
    callbacks.log.close()
    return is_finished


def photo_processes(
    experiment: Experiment,
) -> contextlib.AbstractContextManager[PhotoProcesses | None]:
    """The processes that load photos; nothing where images are held in memory as they are trained.

    One for each core, by default, where a GPU trains: on a CPU the cores are the step's.
    """
    size = experiment.settings.augmentation.image_size
    wanted = experiment.settings.devices.input_processes
    cores = max(num_cores() // experiment.workers.local_size, 1)
    number = wanted or (cores if has_gpu() else 1)
    if number == 1 or whole_images(experiment.train, size) is not None:
        return contextlib.nullcontext()
    return PhotoProcesses(number)


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


def _fit_part(
    experiment: Experiment, callbacks: RunCallbacks, processes: PhotoProcesses | None
) -> None:
    """The rest of a broken epoch on its own, else all epochs that are left."""
    epoch = experiment.step // experiment.steps_per_epoch
    last = experiment.plan.total_epochs if experiment.is_epoch_end() else epoch + 1
    failures: list[UserError] = []
    images = _pipeline(experiment, failures, processes)
    try:
        experiment.model.fit(
            images,
            initial_epoch=epoch,
            epochs=last,
            callbacks=callbacks.all,
            verbose=0,
            shuffle=False,
        )
    except StepNotFinite as error:
        raise _step_not_finite(experiment) from error
    except (tf.errors.OpError, UserError) as error:
        if failures and experiment.workers.channel is None:  # of the pipeline, which reads late
            _keep_state(experiment, callbacks)
        found = possible_remedy(failures[0], experiment.run) if failures else error
        if found is not error:
            raise found from error
        raise


def _pipeline(
    experiment: Experiment, failures: list[UserError], processes: PhotoProcesses | None
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """What `fit` trains on from the optimiser's step on; of several processes the part of this."""
    settings, sharing = experiment.settings, experiment.workers.sharing
    pipeline = functools.partial(
        train_pipeline,
        experiment.train,
        settings.optimizer.batch_size,
        settings.augmentation,
        settings.run.seed,
        step=experiment.model.optimizer.iterations,
        yields=experiment.yields,
        failures=failures,
        order=experiment.model.order,
        views=settings.method.views,
        processes=processes,
    )
    if sharing.size == 1:
        return pipeline()
    # TensorFlow would cut batches itself, and share out the files, of which it knows nothing.
    return experiment.model.distribute_strategy.distribute_datasets_from_function(
        lambda context: pipeline(part=(sharing.number, sharing.size))
    )


def _keep_state(experiment: Experiment, callbacks: RunCallbacks) -> None:
    """Writes the state after the last whole step: nothing of the one without images was applied.

    Not at the end of an epoch, which is over: the next may have begun with more than its steps.
    """
    if experiment.is_epoch_end():
        return
    try:
        callbacks.checkpoints.save()
        callbacks.checkpoints.writer.wait()
    except (OSError, UserError) as error:
        logger.warning("The state could not be saved (%s): the last checkpoint is kept.", error)
    else:
        logger.info("The state after step %d is saved.", experiment.step)


def _step_not_finite(experiment: Experiment) -> StepNotFinite:
    """What to say of a step whose loss or gradient is not finite; nothing of it was applied."""
    step, settings, order = experiment.step, experiment.settings, experiment.model.order
    of_epoch = None if order is None else order(step // experiment.steps_per_epoch)
    indices = batch_indices(
        len(experiment.train), settings.optimizer.batch_size, settings.run.seed, step, of_epoch
    ).numpy()
    rate = Argument("learning_rate", settings.optimizer.learning_rate)
    return StepNotFinite(
        f"The loss or its gradient is NaN or infinite in step {step + 1}, images "
        f"{', '.join(map(str, indices))}: ", *experiment.model.remedies(rate), ", in another ",
        Argument("workdir"), ". The last checkpoint is kept.",
    )  # fmt: skip


def finish_run(
    experiment: Experiment,
    seconds: float,
    export: Export,
    judge: Judge = lambda experiment: [],
    stop: StopRequest | None = None,
) -> bool:
    """Exports the encoder, then writes the summary, which marks the run as finished.

    Args:
        seconds: that training took since the last start.
        export, judge: see `run_experiment`.
        stop: a request ends the export; it is repeated when the run continues.

    Returns:
        Whether it came to its end.
    """
    run, stop = experiment.run, stop or StopRequest()
    if not run.can_write():
        return True
    size = experiment.settings.augmentation.image_size
    try:
        with stop.watched(), stop.interruptible():
            images = experiment.train.load(range(min(8, len(experiment.train))), size)
            exported = export(run, experiment.model.encoder, images)
            text = "\n".join([summarise(experiment, seconds, exported), *judge(experiment)])
    except Stopped:
        logger.info("Stopped in the export, after all steps. The same command continues.")
        return False
    run.write_summary(text.rstrip("\n") + "\n")
    print(text)
    return True
