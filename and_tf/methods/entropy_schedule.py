"""The schedule of the weight of unification entropy."""

from typing import Any

import keras

from and_tf.methods.rounds import RoundPlan


def entropy_factor(plan: RoundPlan, epoch: int) -> int:
    """The factor of the entropy's weight in an epoch.

    0 at the start of each round, 1 from 40 % of its epochs on, 2 from 80 % on: in rounds of 200
    epochs floor(epoch / 80), and in proportion at any other length.

    Reference: Han et al., Super-AND, ECCV 2020.
    """
    number = plan.round_of(epoch)
    start, end = plan.start_of(number), plan.start_of(number + 1)
    epoch = min(epoch, end - 1)  # after the plan's end
    return 5 * (epoch - start) // (2 * (end - start))


class EntropySchedule(keras.callbacks.Callback):
    """Sets the weight of unification entropy at the start of each epoch.

    The weight follows from the optimizer's step, so a resumed run continues as if never stopped.
    Without this callback a model's `entropy_weight` applies throughout.

    Args:
        plan: which epoch belongs to which round.
        steps_per_epoch: optimizer steps of a whole epoch.
    """

    def __init__(self, plan: RoundPlan, steps_per_epoch: int):
        super().__init__()
        self.plan, self.steps_per_epoch = plan, steps_per_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        epoch = int(self.model.optimizer.iterations.numpy()) // self.steps_per_epoch
        factor = entropy_factor(self.plan, epoch)
        self.model.current_entropy_weight.assign(factor * self.model.entropy_weight)
