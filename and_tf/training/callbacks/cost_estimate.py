"""Logs an estimate of a run's remaining time after its first steps."""

import logging
import time

import keras

from and_tf.methods.rounds import RoundPlan
from and_tf.training.callbacks.step_counter import StepCounter
from and_tf.training.durations import clock

logger = logging.getLogger(__name__)

ROUGH_AFTER = 3  # steps, of which the first traces and compiles
SETTLED_AFTER = 20  # steps, when caches and threads have warmed up
WARM_UP = 5  # of these 20 steps; the rough estimate comes too early for it
DIFFERENT = 0.2  # fraction by which a second estimate must differ from the first to be logged


class CostEstimate(keras.callbacks.Callback):
    """Logs an estimate after 3 steps, and another after 20 if it differs.

    Only time within epochs counts: discovery comes before an epoch, evaluation after it. If an
    execution contains many steps, whole executions are measured and the first serves as warm-up.

    Args:
        counter: called before this callback.
        plan: the rounds of the run.
        steps_per_epoch: optimiser steps of a whole epoch.
    """

    def __init__(self, counter: StepCounter, plan: RoundPlan, steps_per_epoch: int):
        super().__init__()
        self.counter, self.plan, self.steps_per_epoch = counter, plan, steps_per_epoch
        self.began = -1  # the step at which training began; -1 until then
        self.rough = _Rate(warm_up=1)
        self.settled = _Rate(WARM_UP)
        self.logged: float | None = None  # seconds per step
        self.is_over = False

    def on_train_begin(self, logs=None):
        if self.began < 0:
            self.began = self.counter.step

    def on_epoch_begin(self, epoch, logs=None):
        self.last_read = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.is_over:
            return
        # The device has finished these steps: `fit` has fetched their loss for `logs`.
        now, done = time.monotonic(), self.counter.step - self.began
        for rate in (self.rough, self.settled):
            rate.add(done, now - self.last_read)
        self.last_read = now
        if self.logged is None and done >= ROUGH_AFTER and self.rough.is_measured:
            self._log(self.rough.seconds_per_step)
        if done >= SETTLED_AFTER and self.settled.is_measured:
            self.is_over = True
            known, found = self.logged or 0.0, self.settled.seconds_per_step
            if abs(found - known) > DIFFERENT * known:
                self._log(found)

    def _log(self, seconds_per_step: float) -> None:
        rough = "About" if self.logged is None else "From more steps, about"
        self.logged = seconds_per_step
        per_epoch, epochs, step = self.steps_per_epoch, self.plan.total_epochs, self.counter.step
        epoch_seconds = per_epoch * seconds_per_step
        epoch = f"{epoch_seconds:.1f}s" if epoch_seconds < 10 else clock(epoch_seconds)
        left = clock((epochs * per_epoch - step) * seconds_per_step)
        rounds = self.plan.rounds - self.plan.round_of((step - 1) // per_epoch)
        starts = f" and {rounds} round {'start' if rounds == 1 else 'starts'}" if rounds else ""
        logger.info(
            "%s %s per epoch, %s to the end of epoch %s; evaluations%s take extra time.",
            rough, epoch, left, f"{epochs:,}", starts,
        )  # fmt: skip


class _Rate:
    """Seconds per step, not counting a warm-up.

    Args:
        warm_up: steps that are not measured; at least the first execution is not.
    """

    def __init__(self, warm_up: int):
        self.warm_up = warm_up
        self.warm = -1  # the step from which to measure
        self.seconds, self.steps = 0.0, 0

    def add(self, done: int, seconds: float) -> None:
        """Records that `done` steps are finished and how many seconds the last execution took."""
        if self.warm < 0:
            self.warm = done if done >= self.warm_up else -1
            return
        self.seconds += seconds
        self.steps = done - self.warm

    @property
    def is_measured(self) -> bool:
        return self.steps > 0

    @property
    def seconds_per_step(self) -> float:
        return self.seconds / self.steps
