"""When the whole state of a run is written."""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from and_tf.errors import Argument, StepNotFinite, UserError
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks.step_counter import StepCounter
from and_tf.training.online_evaluation import Monitor
from and_tf.training.settings import RunSettings
from and_tf.training.stopping import StopRequest

BEST_BY = "knn_top1_train"


class Checkpoints(keras.callbacks.Callback):
    """Saves every so many epochs, steps and minutes, at round ends, and when asked to stop.

    Keeps the last two checkpoints, and the encoder that did best on held-out training images.
    Where an execution holds several steps, all this happens at the end of the execution.

    Args:
        run: folder.
        settings: how often.
        plan: the rounds of the run.
        counter: acts before this callback.
        monitor: its state belongs to the run's.
        stop: a stop that was asked for ends training after a checkpoint.
        of_method: gives what the method's callbacks keep besides variables.
        keeps_best: whether there is a best encoder; not where the method learns the labels of the
            training images, of which the most overfitted would be the best.
    """

    def __init__(
        self,
        run: Workdir,
        settings: RunSettings,
        plan: RoundPlan,
        counter: StepCounter,
        monitor: Monitor,
        stop: StopRequest,
        of_method: Callable[[], dict[str, Any]],
        keeps_best: bool = True,
    ):
        super().__init__()
        self.run, self.settings, self.plan = run, settings, plan
        self.counter, self.monitor, self.stop = counter, monitor, stop
        self.of_method, self.keeps_best = of_method, keeps_best
        self.saved_step: int | None = None
        self.saved_at = time.monotonic()
        self.loss_to_restore: list[np.ndarray] = []

    def on_train_begin(self, logs=None):
        if self.saved_step is None and self.counter.step > 0:  # a run that is continued
            self.saved_step = self.counter.step

    def on_epoch_begin(self, epoch, logs=None):
        # `fit` has reset the running loss of an epoch that is continued in its middle.
        for variable, value in zip(
            self.model.loss_tracker.variables, self.loss_to_restore, strict=False
        ):
            variable.assign(value)
        self.loss_to_restore = []
        self._stop_if_asked()

    def on_train_batch_end(self, batch, logs=None):
        # An epoch's last step is saved with the epoch's end, after its metrics and round are
        # written: a kill between the two would lose them.
        if self._is_due() and not self.counter.is_epoch_end:
            self.save()
        self._stop_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        is_best = self.keeps_best and bool(logs) and logs.get(BEST_BY, -1) > self.monitor.best
        if is_best:
            self.monitor.best = logs[BEST_BY]
            self._save_best(epoch)
        every = self.settings.checkpoint_epochs
        is_epoch_due = every and (epoch + 1) % every == 0
        # Also the best, for a run that is continued must know of it.
        if is_epoch_due or is_best or self.plan.ends_round(epoch) or self._is_due():
            self.save()
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.stop.is_asked:
            self.model.stop_training = True

    def _is_due(self) -> bool:
        # An execution of several steps may pass the step that is due.
        every, step = self.settings.checkpoint_steps, self.counter.step
        is_step_due = every and step // every > (self.saved_step or 0) // every
        is_time_due = time.monotonic() - self.saved_at > 60 * self.settings.checkpoint_minutes
        return is_step_due or is_time_due or self.stop.is_asked

    def save(self, **more: Any) -> None:
        """Writes the state, unless it is written already.

        Args:
            more: metadata, such as an epoch whose evaluation was interrupted.

        Raises:
            UserError: if a value of it is not finite.
            OSError: if it cannot be written; the checkpoint before stays.
        """
        step = int(self.model.optimizer.iterations.numpy())
        if step == self.saved_step:
            return
        arrays = checkpoint.values(checkpoint.training_state(self.model) | self.monitor.state)
        metadata = {"step": step, "best": self.monitor.best} | self.of_method() | more
        try:
            self.run.save_checkpoint(arrays, metadata)
        except StepNotFinite as error:
            raise UserError(
                f"The state after step {step}: ", *error.parts, " Lower ",
                Argument("learning_rate"), ", in another ", Argument("workdir"),
                ". The last checkpoint is kept.",
            ) from error  # fmt: skip
        self.saved_step, self.saved_at = step, time.monotonic()

    def save_interrupted(self, epoch: int, logs: dict[str, Any]) -> None:
        """Writes the state after an epoch's last step, whose evaluation is to be repeated."""
        self.save(interrupted={"epoch": epoch, "logs": logs})

    def _save_best(self, epoch: int) -> None:
        metadata = {"step": self.counter.step, "epoch": epoch + 1, BEST_BY: self.monitor.best}
        self.run.save_best(checkpoint.values(checkpoint.round_state(self.model)), metadata)
