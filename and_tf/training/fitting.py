"""The steps of a run: `model.fit` to the end of the plan, and what an end before that leaves."""

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
            # By name: a checkpoint of a later version may hold more.
            _end_epoch(experiment, callbacks, interrupted["epoch"], interrupted["logs"])
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
        strategy = experiment.model.distribute_strategy
        return pipeline(replicas=strategy.num_replicas_in_sync)
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
