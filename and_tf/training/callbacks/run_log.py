"""The log of a run: metrics.jsonl, TensorBoard and the terminal."""

import logging
import time
from typing import Any

import keras
from tqdm import tqdm

from and_tf.data.progress import progress_bar
from and_tf.methods.rounds import RoundPlan
from and_tf.runs.events import EventLog
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks.step_counter import StepCounter
from and_tf.training.durations import clock
from and_tf.training.online_evaluation import METRICS

logger = logging.getLogger(__name__)


class RunLog(keras.callbacks.Callback):
    """Writes each epoch to metrics.jsonl, TensorBoard and the terminal, with the time left.

    Args:
        run: the run's folder.
        counter: called before this callback.
        schedule: learning rate by step.
        plan: the rounds of the run.
        steps_per_epoch: optimiser steps of a whole epoch.
    """

    def __init__(
        self, run: Workdir, counter: StepCounter, schedule, plan: RoundPlan, steps_per_epoch: int
    ):
        super().__init__()
        self.run, self.counter, self.schedule, self.plan = run, counter, schedule, plan
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = plan.total_epochs * steps_per_epoch
        self.events: EventLog | None = None
        self.bar: tqdm | None = None
        self.timed_from: tuple[int, float] | None = None  # step and time of the first epoch's end

    def on_train_begin(self, logs=None):
        if self.bar is not None or not self.run.can_write():
            return
        self.events = EventLog(self.run)
        self.raw_pixels = self.run.read_metadata().get("raw_pixels_knn_top1")
        self.bar = progress_bar(self.total_steps, "training", "step", initial=self.counter.step)

    def on_train_batch_end(self, batch, logs=None):
        if self.bar is not None:
            self.bar.update(self.counter.step - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        if not self.counter.is_epoch_end:
            return  # stopped within the epoch, which the continued run will log
        step = self.counter.step
        place = {"step": step, "epoch": epoch + 1, "round": self.plan.round_of(epoch)}
        metrics = {name: value for name, value in logs.items() if name not in place}
        if step > 0:
            metrics["learning_rate"] = float(self.schedule(step - 1))  # of the epoch's last step
        evaluation = {name: metrics.pop(name) for name in METRICS if name in metrics}
        records = [place | part for part in (metrics, evaluation) if part]
        self.run.append_metrics(records)
        if self.events is not None:
            for record in records:
                self.events.write(record)
            self._log_line(place, metrics | evaluation)

    def close(self) -> None:
        """Ends the progress bar and the event file."""
        if self.bar is not None:
            self.bar.close()
        if self.events is not None:
            self.events.close()

    def _log_line(self, place: dict[str, int], metrics: dict[str, Any]) -> None:
        parts = [f"epoch {place['epoch']}/{self.plan.total_epochs}", f"round {place['round']}"]
        if "loss" in metrics:
            parts += [f"loss {metrics['loss']:.3f}", f"lr {metrics['learning_rate']:.2g}"]
        if "images_per_second" in metrics:
            parts += [
                f"{metrics['images_per_second']:,.0f} images/s",
                *self._time_left(place["step"]),
            ]
        logger.info("%s", "  ".join(parts + self._evaluation_parts(metrics)))

    def _time_left(self, step: int) -> list[str]:
        """Extrapolated from everything since the end of the first epoch, which has the start-up."""
        if self.timed_from is None:
            self.timed_from = step, time.monotonic()
            return []
        first_step, started = self.timed_from
        per_step = (time.monotonic() - started) / max(1, step - first_step)
        return [f"{clock(per_step * (self.total_steps - step))} left"]

    def _evaluation_parts(self, metrics: dict[str, Any]) -> list[str]:
        if "knn_top1" in metrics:
            beside = []
            if "knn_top1_bank" in metrics:
                beside.append(f"bank {metrics['knn_top1_bank']:.1f} %")
            if self.raw_pixels is not None:
                beside.append(f"raw pixels {self.raw_pixels:.1f} %")
            remarks = f" ({', '.join(beside)})" if beside else ""
            return [f"kNN {metrics['knn_top1']:.1f} %{remarks}"]
        if "effective_rank" not in metrics:
            return []
        parts = [f"effective rank {metrics['effective_rank']:.1f}"]
        if "neighbours_kept" in metrics:
            parts.append(f"neighbour overlap {metrics['neighbours_kept']:.0f} %")
        return parts
