"""What the rest of a run will take, logged once, early."""

import logging
import time

import keras

from and_tf.methods.rounds import RoundPlan
from and_tf.training.callbacks.step_counter import StepCounter
from and_tf.training.durations import clock

logger = logging.getLogger(__name__)

WARM_UP = 5  # steps, in which TensorFlow traces and compiles
MEASURED_AFTER = 20  # steps


class CostEstimate(keras.callbacks.Callback):
    """Logs once, after 20 steps of a start or a continuation, what the rest will take.

    Only time within epochs counts: discovery comes before an epoch, evaluation after it. Where an
    execution holds many steps, whole executions are measured and the first one warms up.

    Args:
        counter: acts before this callback.
        plan: the rounds of the run.
        steps_per_epoch: optimiser steps of a whole epoch.
    """

    def __init__(self, counter: StepCounter, plan: RoundPlan, steps_per_epoch: int):
        super().__init__()
        self.counter, self.plan, self.steps_per_epoch = counter, plan, steps_per_epoch
        self.began = -1  # step; -1 before the first one
        self.warm = -1  # step from which on is measured
        self.seconds = 0.0
        self.is_logged = False

    def on_train_begin(self, logs=None):
        if self.began < 0:
            self.began = self.counter.step

    def on_epoch_begin(self, epoch, logs=None):
        self.last_read = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.is_logged:
            return
        # The device is done with these steps: `fit` has fetched their loss for `logs`.
        now, step = time.monotonic(), self.counter.step
        if self.warm >= 0:
            self.seconds += now - self.last_read
            if step - self.began >= MEASURED_AFTER:
                self._log(step, self.seconds / (step - self.warm))
        elif step - self.began >= WARM_UP:
            self.warm = step
        self.last_read = now

    def _log(self, step: int, seconds_per_step: float) -> None:
        self.is_logged = True
        per_epoch, epochs = self.steps_per_epoch, self.plan.total_epochs
        epoch_seconds = per_epoch * seconds_per_step
        epoch = f"{epoch_seconds:.1f}s" if epoch_seconds < 10 else clock(epoch_seconds)
        left = clock((epochs * per_epoch - step) * seconds_per_step)
        rounds = self.plan.rounds - self.plan.round_of((step - 1) // per_epoch)
        starts = f" and {rounds} round {'start' if rounds == 1 else 'starts'}" if rounds else ""
        logger.info(
            "About %s per epoch, %s to the end of epoch %s; evaluations%s come on top.",
            epoch, left, f"{epochs:,}", starts,
        )  # fmt: skip
