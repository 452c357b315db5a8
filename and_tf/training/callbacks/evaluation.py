"""The evaluation during training, every few epochs and at the end of each round."""

import logging
from collections.abc import Callable
from typing import Any

import keras

from and_tf.errors import Stopped, UserError
from and_tf.methods.rounds import RoundPlan
from and_tf.training.callbacks.step_counter import StepCounter
from and_tf.training.online_evaluation import Monitor
from and_tf.training.stopping import StopRequest

logger = logging.getLogger(__name__)

# Uniformity above this means a mean squared distance between images below 0.01 (of at most 4).
COLLAPSED = -0.02
SETTLED = 50  # steps; before, BatchNorm's averages are so far off that all embeddings are alike


class Evaluation(keras.callbacks.Callback):
    """Adds the monitor's metrics to the logs of an epoch.

    Args:
        monitor: measures the metrics.
        plan: the rounds of the run; the end of each round is evaluated.
        every: epochs between evaluations; 0 for only at the end of rounds.
        counter: called before this callback.
        stop: may interrupt an evaluation.
        keep: called with the epoch and its logs if that happens, so that a continued run repeats
            the evaluation.
    """

    def __init__(
        self,
        monitor: Monitor,
        plan: RoundPlan,
        every: int,
        counter: StepCounter,
        stop: StopRequest,
        keep: Callable[[int, dict[str, Any]], None],
    ):
        super().__init__()
        self.monitor, self.plan, self.every, self.counter = monitor, plan, every, counter
        self.stop, self.keep = stop, keep
        self.has_warned = False

    def on_epoch_end(self, epoch, logs=None):
        is_due = self.plan.ends_round(epoch) or (self.every and (epoch + 1) % self.every == 0)
        if not is_due or not self.counter.is_epoch_end:
            return
        try:
            with self.stop.interruptible():
                measured = self.monitor.measure(self.model)
        except Stopped:
            self.keep(epoch, logs)
            raise
        except UserError as error:  # such as embeddings that are not finite
            where = f"The evaluation after step {self.counter.step}: "
            raise UserError(where, *error.parts) from error
        self.monitor.remember(measured)
        if self.counter.step >= SETTLED:
            self._warn_of_collapse(measured.metrics)
        logs.update(measured.metrics)

    def _warn_of_collapse(self, metrics: dict[str, float]) -> None:
        if metrics["uniformity"] > COLLAPSED and not self.has_warned:
            self.has_warned = True
            logger.warning(
                "all embeddings are almost equal (uniformity %.3f, effective rank %.1f): the "
                "network has collapsed. Lower the learning rate or raise the smallest crop area.",
                metrics["uniformity"], metrics["effective_rank"],
            )  # fmt: skip
