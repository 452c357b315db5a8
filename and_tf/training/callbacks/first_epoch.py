"""Progress of the first epoch after a start, for the heartbeat."""

import time
from typing import Any

import keras

from and_tf.training.durations import clock
from and_tf.training.heartbeat import Heartbeat


class FirstEpoch(keras.callbacks.Callback):
    """Reports step, loss and rate of the first epoch after a start to a heartbeat.

    Args:
        heartbeat: ended with the epoch.
        batch_size: images in a step.
    """

    def __init__(self, heartbeat: Heartbeat, batch_size: int):
        super().__init__()
        self.heartbeat, self.batch_size = heartbeat, batch_size
        self.first: tuple[int, float] | None = None  # step and time of the first execution's end

    def on_train_begin(self, logs=None):
        self.heartbeat.describe("filling the pipeline and compiling the first step")

    def on_epoch_begin(self, epoch, logs=None):
        if self.first is not None:
            self.heartbeat.end()  # this is a second epoch

    def on_train_batch_end(self, batch, logs=None):
        now, step = time.monotonic(), min(batch + 1, self.params["steps"])
        self.first = self.first or (step, now)
        metrics = dict(logs or {})
        self.heartbeat.describe_by(lambda: self._line(step, now, metrics))

    def on_epoch_end(self, epoch, logs=None):
        self.heartbeat.describe("evaluating the first epoch")

    def on_train_end(self, logs=None):
        self.heartbeat.end()

    def _line(self, step: int, reached: float, logs: dict[str, Any]) -> str:
        assert self.first is not None
        first_step, began = self.first
        parts = [f"step {step}/{self.params['steps']} of the epoch"]
        if "loss" in logs:
            parts.append(f"loss {float(logs['loss']):.3f}")
        if step > first_step:
            rate = (step - first_step) * self.batch_size / (reached - began)
            parts.append(f"{rate:,.0f} images/s")
        since = time.monotonic() - reached
        if since > self.heartbeat.every:
            parts.append(f"{clock(since)} in the next step")
        return "  ".join(parts)
