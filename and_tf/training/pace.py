"""Where training stands and how fast it goes, counted on the host: the device is not asked."""

import sys
import time

import keras
from tqdm import tqdm

from and_tf.methods.rounds import RoundPlan

WARM_UP = 5  # steps, in which TensorFlow traces and compiles
MEASURED_AFTER = 20  # steps


class StepCounter(keras.callbacks.Callback):
    """Counts the optimiser's steps. Comes before the callbacks that read `step`.

    `fit` calls back once an execution, which may hold several steps, and names the last step that
    a full execution would have had. Reading the optimiser's counter instead would wait for the
    device each time.
    """

    def __init__(self):
        super().__init__()
        self.step = 0
        self._epoch_began = 0

    def on_train_begin(self, logs=None):
        self.step = int(self.model.optimizer.iterations.numpy())

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_began = self.step

    def on_train_batch_end(self, batch, logs=None):
        self.step = self._epoch_began + min(batch + 1, self.params["steps"])

    def on_epoch_end(self, epoch, logs=None):
        self.step = int(self.model.optimizer.iterations.numpy())


class CostEstimate(keras.callbacks.Callback):
    """Says once, after 20 steps of a start or a continuation, what the rest will take.

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
        self.began = None  # step
        self.warm = None  # step from which on is measured
        self.seconds = 0.0
        self.is_said = False

    def on_train_begin(self, logs=None):
        if self.began is None:
            self.began = self.counter.step

    def on_epoch_begin(self, epoch, logs=None):
        self.last_read = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if self.is_said:
            return
        # The device is done with these steps: `fit` has fetched their loss for `logs`.
        now, step = time.monotonic(), self.counter.step
        if self.warm is not None:
            self.seconds += now - self.last_read
            if step - self.began >= MEASURED_AFTER:
                self._say(step, self.seconds / (step - self.warm))
        elif step - self.began >= WARM_UP:
            self.warm = step
        self.last_read = now

    def _say(self, step, seconds_per_step):
        self.is_said = True
        per_epoch, epochs = self.steps_per_epoch, self.plan.total_epochs
        epoch_seconds = per_epoch * seconds_per_step
        epoch = f"{epoch_seconds:.1f}s" if epoch_seconds < 10 else clock(epoch_seconds)
        left = clock((epochs * per_epoch - step) * seconds_per_step)
        rounds = self.plan.rounds - self.plan.round_of((step - 1) // per_epoch)
        discoveries = f" and {rounds} {'discovery' if rounds == 1 else 'discoveries'}"
        tqdm.write(
            f"About {epoch} an epoch, {left} to the end of epoch {epochs:,}; evaluations"
            f"{discoveries if rounds else ''} come on top.",
            file=sys.stdout,
        )
        sys.stdout.flush()


def clock(seconds: float) -> str:
    """Seconds as 1h02m, 2m05s or 7s."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
