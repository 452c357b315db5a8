"""Saves the whole state of a run."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from and_tf.errors import Argument, StepNotFinite, UserError
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint
from and_tf.runs.background_writer import BackgroundWriter
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks.step_counter import StepCounter
from and_tf.training.online_evaluation import Monitor
from and_tf.training.settings import RunSettings
from and_tf.training.stopping import StopRequest

BEST_BY = "knn_top1_train"


class EpochEnd(NamedTuple):
    """What is saved at the end of an epoch in addition to the last checkpoint.

    Attributes:
        epoch: its number, from 0.
        best: `BEST_BY` in percent if this epoch is the best so far, otherwise None.
        round: the round that ends with this epoch; None in the middle of a round.
    """

    epoch: int
    best: float | None
    round: int | None


class Checkpoints(keras.callbacks.Callback):
    """Saves at intervals of epochs, steps and minutes, at the end of rounds, and on a stop request.

    Keeps the last two checkpoints; permanently, for each round, the encoder and the method's state
    at the end of the round; and the encoder that did best on held-out training images. If an
    execution contains several steps, saving waits for the end of the execution.

    The state is copied between two steps and written by `writer` while training continues. `fit`
    waits for the writer at its end.

    Args:
        run: the run's folder.
        settings: how often to save.
        plan: the rounds of the run.
        counter: called before this callback.
        monitor: its state is saved with the run's.
        stop: a stop request ends training after a checkpoint.
        of_method: returns the metadata of the method's callbacks.
        keeps_best: whether to save the best encoder; False if the method learns the labels of the
            training images, since the most overfitted encoder would be the best.
        origin: `Workdir.origin`, stored in all checkpoints; None if there is none.
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
        origin: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.run, self.settings, self.plan = run, settings, plan
        self.counter, self.monitor, self.stop = counter, monitor, stop
        self.of_method, self.keeps_best = of_method, keeps_best
        self.of_run = {"origin": origin} if origin else {}
        self.writer = BackgroundWriter()
        self.saved_step: int | None = None
        self.saved_at = time.monotonic()
        self.loss_to_restore: list[np.ndarray] = []

    def on_train_begin(self, logs=None):
        if self.saved_step is None and self.counter.step > 0:  # the run is continued
            self.saved_step = self.counter.step

    def on_epoch_begin(self, epoch, logs=None):
        # `fit` has reset the running loss of an epoch that is continued halfway.
        for variable, value in zip(
            self.model.loss_tracker.variables, self.loss_to_restore, strict=False
        ):
            variable.assign(value)
        self.loss_to_restore = []
        self._stop_if_asked()

    def on_train_batch_end(self, batch, logs=None):
        # The last step of an epoch is saved by `on_epoch_end`, after the epoch's metrics and round
        # are written: a kill between the two would lose them.
        if self._is_due() and not self.counter.is_epoch_end:
            self.save()
        self._stop_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        is_best = self.keeps_best and bool(logs) and logs.get(BEST_BY, -1) > self.monitor.best
        if is_best:
            self.monitor.best = logs[BEST_BY]
        ends_round = self.plan.ends_round(epoch)
        every = self.settings.checkpoint_epochs
        is_epoch_due = every and (epoch + 1) % every == 0
        # Also for the best, which a continued run must know.
        if is_epoch_due or is_best or ends_round or self._is_due():
            ended = self.plan.round_of(epoch) if ends_round and self.counter.is_epoch_end else None
            best = self.monitor.best if is_best else None
            self.save(end=EpochEnd(epoch, best, ended))
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        self.writer.check()
        if self.stop.is_asked:
            self.model.stop_training = True

    def _is_due(self) -> bool:
        # An execution of several steps may skip the step that is due.
        every, step = self.settings.checkpoint_steps, self.counter.step
        is_step_due = every and step // every > (self.saved_step or 0) // every
        is_time_due = time.monotonic() - self.saved_at > 60 * self.settings.checkpoint_minutes
        agreement = self.model.agreement
        if agreement is not None:  # processes must save and stop after the same step
            agreed = agreement.agreed()
            agreement.wish(self.stop.is_wished, save=is_time_due and not agreed.save)
            is_time_due = agreed.save
            self.stop.is_asked = self.stop.is_asked or agreed.stop
        return is_step_due or is_time_due or self.stop.is_asked

    def save(self, end: EpochEnd | None = None, **more: Any) -> None:
        """Copies the state, unless it is already saved, and writes it while training continues.

        Args:
            end: what else to save of the epoch, written from the same copy.
            more: metadata, such as an epoch whose evaluation was interrupted.

        Raises:
            UserError: if the previous save failed because a value was not finite.
            OSError: if the previous save could not be written; the checkpoint before it is kept.
        """
        step = int(self.model.optimizer.iterations.numpy())
        is_new = step != self.saved_step
        if not is_new and (end is None or (end.best is None and end.round is None)):
            return
        self.writer.wait()  # or there would be a second copy in memory
        state = checkpoint.training_state(self.model) | self.monitor.state
        of_round = checkpoint.round_state(self.model)
        if not self.run.is_writable:
            checkpoint.take_part(of_round | state)
            self.saved_step, self.saved_at = step, time.monotonic()
            return
        arrays = checkpoint.values(of_round | state)
        metadata = {"step": step, "best": self.monitor.best} | self.of_method() | more
        metadata |= self.of_run

        def write() -> None:
            if end is not None:
                self._write_ends(end, step, {name: arrays[name] for name in of_round})
            if is_new:
                self._write_last({name: arrays[name] for name in state}, metadata)

        self.writer.start(write)
        self.saved_step, self.saved_at = step, time.monotonic()

    def save_interrupted(self, epoch: int, logs: dict[str, Any]) -> None:
        """Saves the state after the last step of an epoch whose evaluation is to be repeated."""
        self.save(interrupted={"epoch": epoch, "logs": logs})

    def _write_ends(self, end: EpochEnd, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Writes the end of a round and the best encoder, as one file if they are the same."""
        metadata = {"step": step, "epoch": end.epoch + 1} | self.of_run
        of_best = {BEST_BY: end.best} if end.best is not None else {}
        if end.round is not None:
            self.run.save_round(arrays, metadata | {"round": end.round} | of_best)
        is_linked = end.round is not None and bool(of_best) and self.run.link_best(end.round)
        if of_best and not is_linked:
            self.run.save_best(arrays, metadata | of_best)

    def _write_last(self, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        try:
            self.run.save_checkpoint(arrays, metadata)
        except StepNotFinite as error:
            raise UserError(
                f"The state after step {metadata['step']}: ", *error.parts, " Lower ",
                Argument("learning_rate"), ", in another ", Argument("workdir"),
                ". The last checkpoint is kept.",
            ) from error  # fmt: skip
