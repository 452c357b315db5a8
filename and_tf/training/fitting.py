"""Runs `model.fit` to the end of the plan, and handles an earlier end."""

import contextlib
import functools
import logging
from typing import Any

import keras
import tensorflow as tf

from and_tf.data.cache import whole_images
from and_tf.data.photo_processes import PhotoProcesses
from and_tf.data.pipeline import batch_indices, train_pipeline
from and_tf.data.workers import num_cores
from and_tf.errors import Argument, StepNotFinite, Stopped, UserError
from and_tf.training.build import Experiment, possible_remedy
from and_tf.training.callbacks import RunCallbacks
from and_tf.training.hardware import has_gpu
from and_tf.training.stopping import StopRequest

logger = logging.getLogger(__name__)


def fit(
    experiment: Experiment,
    callbacks: RunCallbacks,
    stop: StopRequest,
    interrupted: dict[str, Any] | None = None,
) -> bool:
    """Trains to the end of the plan, or until a stop is requested.

    Args:
        interrupted: epoch and logs of an epoch whose end is to be repeated first.

    Returns:
        Whether the end was reached and everything that belongs to it is done.
    """
    checkpoints = callbacks.checkpoints
    if not experiment.is_epoch_end():
        checkpoints.loss_to_restore = [v.numpy() for v in experiment.model.loss_tracker.variables]
    if not experiment.total_steps:
        interrupted = {"epoch": experiment.plan.total_epochs - 1, "logs": {}}
    is_finished = False
    # `Stopped` interrupts work that will be repeated; pending checkpoints are still written.
    with (
        contextlib.suppress(Stopped),
        stop.watched(),
        checkpoints.writer.ended(),
        photo_processes(experiment) as processes,
    ):
        if interrupted is not None:
            # By name: a checkpoint of a later version may contain more.
            _end_epoch(experiment, callbacks, interrupted["epoch"], interrupted["logs"])
        while experiment.step < experiment.total_steps and not stop.is_asked:
            _fit_part(experiment, callbacks, processes)
        is_finished = experiment.step == experiment.total_steps
    callbacks.log.close()
    return is_finished


def photo_processes(
    experiment: Experiment,
) -> contextlib.AbstractContextManager[PhotoProcesses | None]:
    """The processes that load photos; None if the images are held in memory, ready for training.

    By default one for each core if a GPU trains; on a CPU the training step needs the cores.
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
    """Repeats what `fit` does at the end of an epoch and had begun when the run was stopped."""
    experiment.run.forget_after(experiment.step - 1)  # an earlier repetition may have been killed
    callbacks.checkpoints.saved_step = -1  # the saved state lacks the epoch's end
    everything = keras.callbacks.CallbackList(callbacks.all, model=experiment.model)
    everything.on_train_begin()
    everything.on_epoch_end(epoch, logs)
    everything.on_train_end()
    callbacks.checkpoints.save()


def _fit_part(
    experiment: Experiment, callbacks: RunCallbacks, processes: PhotoProcesses | None
) -> None:
    """Trains the rest of an interrupted epoch, or else all remaining epochs."""
    epoch = experiment.step // experiment.steps_per_epoch
    last = experiment.plan.total_epochs if experiment.is_epoch_end() else epoch + 1
    failures: list[UserError] = []
    images = training_input(experiment, failures, processes)
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
        if failures and experiment.workers.channel is None:  # the pipeline could not read an image
            _keep_state(experiment, callbacks)
        found = possible_remedy(failures[0], experiment.run) if failures else error
        if found is not error:
            raise found from error
        raise


def training_input(
    experiment: Experiment,
    failures: list[UserError] | None = None,
    processes: PhotoProcesses | None = None,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """The input of `fit` from the optimiser's step on; with several processes, this one's part.

    Args:
        experiment: whose images are augmented as its settings say.
        failures, processes: see `train_pipeline`.
    """
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
        strategy = experiment.model.distribute_strategy
        return pipeline(replicas=strategy.num_replicas_in_sync)
    # Otherwise TensorFlow would split batches itself and shard files, of which it knows nothing.
    return experiment.model.distribute_strategy.distribute_datasets_from_function(
        lambda context: pipeline(part=(sharing.number, sharing.size))
    )


def _keep_state(experiment: Experiment, callbacks: RunCallbacks) -> None:
    """Saves the state after the last complete step: a step without its images applies nothing.

    Not at the end of an epoch: the callbacks of the next one may already have changed the state.
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
    """The error for a step whose loss or gradient is not finite; the step was not applied."""
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
