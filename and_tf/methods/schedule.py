"""The learning rate by global step, within the plan of rounds."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from and_tf.errors import Argument, UserError
from and_tf.methods.rounds import LR_POLICIES, RoundPlan

MOST_STEPS = 2**31 - 1  # steps are counted in 32 bits


@keras.saving.register_keras_serializable("and_tf")
class RoundSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate by global step, counted within a round or over the whole run.

    Args:
        learning_rate: the rate at the start.
        policy: `step` (the authors': x 0.1 at 60 % and again at 80 % of each round), `cosine` (to
            0 over each round), `cosine_run` (to 0 once, over the whole run) or `constant`.
        steps_per_epoch: optimiser steps in an epoch.
        plan: RoundPlan, or its fields.
    """

    def __init__(
        self,
        learning_rate: float,
        policy: str,
        steps_per_epoch: int,
        plan: RoundPlan | Mapping[str, int],
    ):
        if policy not in LR_POLICIES:
            raise UserError(
                Argument("policy", policy), f" must be one of {', '.join(LR_POLICIES)}."
            )
        self.learning_rate, self.policy = learning_rate, policy
        self.steps_per_epoch = steps_per_epoch
        self.plan = plan if isinstance(plan, RoundPlan) else RoundPlan(**plan)
        self._check_steps()

    def _check_steps(self) -> None:
        plan, steps = self.plan, self.plan.total_epochs * self.steps_per_epoch
        if steps > MOST_STEPS:
            raise UserError(
                f"The plan has {steps:,} steps, more than the limit of {MOST_STEPS:,}: lower ",
                Argument("rounds", plan.rounds), ", ",
                Argument("epochs_per_round", plan.epochs_per_round), " or ",
                Argument("first_round_epochs", plan.first_round_epochs), ".",
            )  # fmt: skip

    def __call__(self, step: Any) -> Any:
        if self.policy == "constant":
            return ops.convert_to_tensor(self.learning_rate, "float32")
        total = self.plan.total_epochs * self.steps_per_epoch
        # Not int32, which TensorFlow computes on the host: it would wait for the GPU.
        step = ops.minimum(ops.cast(step, "int64"), total - 1)
        if self.policy == "cosine_run":
            done = ops.cast(step, "float32") / total
            return self.learning_rate * 0.5 * (1 + ops.cos(math.pi * done))
        start, end = self._round_of(step)
        if self.policy == "cosine":
            done = ops.cast(step - start, "float32") / ops.cast(end - start, "float32")
            return self.learning_rate * 0.5 * (1 + ops.cos(math.pi * done))
        # Whole epochs in integers: 0.6 x epochs is not exact in floating point.
        epoch = (step - start) // self.steps_per_epoch
        epochs = (end - start) // self.steps_per_epoch
        drops = ops.cast(10 * epoch >= 6 * epochs, "float32")
        drops += ops.cast(10 * epoch >= 8 * epochs, "float32")
        return self.learning_rate * ops.power(0.1, drops)

    def _round_of(self, step: Any) -> tuple[Any, Any]:
        """The first step of a step's round, and of the next round; each () int64."""
        first = self.plan.start_of(1) * self.steps_per_epoch
        if not self.plan.rounds:
            return ops.zeros_like(step), first * ops.ones_like(step)
        length = self.plan.epochs_per_round * self.steps_per_epoch
        later = first + (step - first) // length * length
        is_first = step < first
        return ops.where(is_first, 0, later), ops.where(is_first, first, later + length)

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "policy": self.policy,
            "steps_per_epoch": self.steps_per_epoch,
            "plan": dataclasses.asdict(self.plan),
        }
