"""Callbacks that measure, log and save during training, one per file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from and_tf.methods.method import KeepsMetadata
from and_tf.training.callbacks.checkpoints import Checkpoints
from and_tf.training.callbacks.cost_estimate import CostEstimate
from and_tf.training.callbacks.evaluation import Evaluation
from and_tf.training.callbacks.first_epoch import FirstEpoch
from and_tf.training.callbacks.run_log import RunLog
from and_tf.training.callbacks.step_counter import StepCounter
from and_tf.training.heartbeat import Heartbeat

if TYPE_CHECKING:
    from and_tf.training.build import Experiment
    from and_tf.training.online_evaluation import Monitor
    from and_tf.training.stopping import StopRequest

__all__ = [
    "Checkpoints",
    "CostEstimate",
    "Evaluation",
    "FirstEpoch",
    "RunCallbacks",
    "RunLog",
    "StepCounter",
    "run_callbacks",
]


class RunCallbacks(NamedTuple):
    """The callbacks of a run.

    Attributes:
        all: in the order in which they are called.
        log, checkpoints: those that the training loop also uses directly.
    """

    all: list[keras.callbacks.Callback]
    log: RunLog
    checkpoints: Checkpoints


def run_callbacks(
    experiment: "Experiment",
    of_method: list[keras.callbacks.Callback],
    monitor: "Monitor",
    stop: "StopRequest",
    heartbeat: Heartbeat | None = None,
) -> RunCallbacks:
    """Builds the callbacks of a run.

    Args:
        experiment: the parts of the run.
        of_method: the method's callbacks, which are called first.
        monitor: measures the evaluations.
        stop: whether a stop was requested.
        heartbeat: logs the progress of the first epoch.
    """
    run, plan, settings = experiment.run, experiment.plan, experiment.settings.run
    per_epoch = experiment.steps_per_epoch
    counter = StepCounter(len(experiment.train), per_epoch)
    log = RunLog(run, counter, experiment.schedule, plan, per_epoch)
    checkpoints = Checkpoints(
        run,
        settings,
        plan,
        counter,
        monitor,
        stop,
        lambda: callback_metadata(of_method),
        keeps_best=not experiment.settings.method.learns_from_labels,
        origin=experiment.origin(),
    )
    keep = checkpoints.save_interrupted
    everything = [
        *of_method,
        counter,
        FirstEpoch(heartbeat or Heartbeat(), experiment.settings.optimizer.batch_size),
        CostEstimate(counter, plan, per_epoch),
        Evaluation(monitor, plan, settings.eval_every, counter, stop, keep),
        log,
        checkpoints,
    ]
    return RunCallbacks(everything, log, checkpoints)


def callback_metadata(of_method: list[keras.callbacks.Callback]) -> dict[str, Any]:
    """Metadata that the method's callbacks store in a checkpoint."""
    kept: dict[str, Any] = {}
    for callback in of_method:
        if isinstance(callback, KeepsMetadata):
            kept |= callback.metadata()
    return kept


def restore_metadata(
    of_method: list[keras.callbacks.Callback], metadata: Mapping[str, Any]
) -> None:
    """Restores the method's callbacks from the metadata of a checkpoint."""
    for callback in of_method:
        if isinstance(callback, KeepsMetadata):
            callback.restore(metadata)
