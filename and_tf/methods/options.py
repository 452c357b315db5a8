"""Options of the methods on a memory bank, beyond the paper; all are off by default."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from and_tf.errors import Argument
from and_tf.methods.rounds import RoundPlan
from and_tf.settings import SettingError, Settings, at_least, between, setting

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class BankOptions(Settings):
    """Options on the bank, not in the paper."""

    views: int = setting(
        1,
        "Augmented views of each image in a step: the loss is their mean, and the bank is updated "
        "once, by their mean embedding.",
        between(1, 2),
    )
    group_weight: float = setting(
        0.0,
        "Weight of cross-level discrimination: each of two views is to be found in its cluster of "
        "the other view within the batch; 0: off.",
        at_least(0),
    )
    entropy_weight: float = setting(
        0.0,
        "Weight of the entropy of an image's softmax over all others, added from 40 % of each "
        "round on, and twice that from 80 % on; Super-AND: 0.2; 0: off.",
        at_least(0),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group_weight and self.views != 2:
            raise SettingError(
                Argument("group_weight", self.group_weight), " compares two views of an image, and "
                "there is one: pass ", Argument("views", 2), ".",
            )  # fmt: skip

    @property
    def variations(self) -> tuple[str, ...]:
        """Descriptions of the options that are on."""
        options = {
            f"{self.views} views": self.views != 1,
            f"group weight {self.group_weight:g}": self.group_weight,
            f"entropy weight {self.entropy_weight:g}": self.entropy_weight,
        }
        return tuple(words for words, is_on in options.items() if is_on)

    def callbacks(self, plan: RoundPlan, steps_per_epoch: int) -> list[keras.callbacks.Callback]:
        """Callbacks for what the options do between steps."""
        if not self.entropy_weight:
            return []
        from and_tf.methods.entropy_schedule import EntropySchedule, entropy_factor

        if plan.total_epochs and not any(
            entropy_factor(plan, epoch) for epoch in range(plan.total_epochs)
        ):
            logger.warning(
                "%s has no effect: it counts from 40 %% of a round on, and no round has an epoch "
                "there. Raise %s.",
                Argument("entropy_weight", self.entropy_weight), Argument("epochs_per_round"),
            )  # fmt: skip
        return [EntropySchedule(plan, steps_per_epoch)]
