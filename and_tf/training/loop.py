"""train.py: runs or continues an experiment, from its settings to its exported encoder."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from and_tf.errors import Stopped, UserError
from and_tf.evaluation import extract
from and_tf.methods.method import TrainingContext
from and_tf.methods.replicas import check_xla
from and_tf.runs.discovery_blocks import DiscoveryBlocks
from and_tf.runs.workdir import Workdir
from and_tf.training.build import Experiment, build_experiment, start_devices
from and_tf.training.callbacks import run_callbacks
from and_tf.training.fitting import fit
from and_tf.training.hardware import has_gpu, log_devices
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

# Exports the encoder of a finished run to its folder, verifies it on images (n, S, S, 3) uint8, and
# returns the path to name in the summary.
Export = Callable[[Workdir, keras.Model, np.ndarray], Path]

# Returns lines that assess a finished run.
Judge = Callable[[Experiment], list[str]]


def run_experiment(
    settings: ExperimentSettings, export: Export, judge: Judge = lambda experiment: []
) -> bool:
    """Trains to the end of the plan, starting where the run in its folder stopped, if there is one.

    Args:
        settings: of the experiment.
        export: called when training is complete, before the summary marks the run as finished;
            called again if the process was killed between the two.
        judge: returns lines for the end of the summary.

    Returns:
        Whether the run is finished; if not, a stop was requested, and the same settings continue
        it. With several processes, only the one that writes the folder returns True.

    Raises:
        UserError: if settings, images and the run in the folder do not fit together; nothing is
            overwritten.
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
    """`run_experiment` on the devices or processes of `workers_of`."""
    if settings.devices.jit_compile == "on":
        check_xla(workers.strategy)
    run = Workdir(settings.run.folder, workers.is_chief)
    settings = settings_of_run(settings, run)
    is_continued = check_run_folder(run, settings)
    workers.agree("folders of the run", state_of(run) if workers.channel else {})
    # The device determines which collectives there are.
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
            workers.wait_for_all("built")  # nothing has been written yet
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
    """Trains; returns whether the end of the plan was reached."""
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
    if experiment.workers.is_chief:
        log_devices(settings.devices.precision, settings.devices.jit_compile == "on")
        log_estimates(experiment, monitor)
    callbacks = run_callbacks(experiment, of_method, monitor, stop, heartbeat)
    return fit(experiment, callbacks, stop, interrupted)


def make_monitor(experiment: Experiment) -> Monitor:
    """The monitor that measures the evaluations of a run."""
    settings = experiment.settings
    return Monitor(
        experiment.train,
        experiment.held_out,
        settings.augmentation,
        settings.run.eval_images,
        experiment.workers.sharing,
    )


def training_context(experiment: Experiment, stop: StopRequest) -> TrainingContext:
    """What a method's callbacks may use between steps."""
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


def finish_run(
    experiment: Experiment,
    seconds: float,
    export: Export,
    judge: Judge = lambda experiment: [],
    stop: StopRequest | None = None,
) -> bool:
    """Exports the encoder, then writes the summary, which marks the run as finished.

    Args:
        seconds: training time since the last start.
        export, judge: see `run_experiment`.
        stop: a stop request ends the export, which is repeated when the run continues.

    Returns:
        Whether the export finished.
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
        logger.info("Stopped during the export, after all steps. The same command continues.")
        return False
    run.write_summary(text.rstrip("\n") + "\n")
    print(text)
    return True
