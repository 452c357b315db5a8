"""The plan of a run: which epoch belongs to which round."""

import dataclasses

from and_tf.errors import Argument
from and_tf.settings import SettingError, Settings, at_least, setting

LR_POLICIES = ("step", "cosine", "cosine_run", "constant")


@dataclasses.dataclass(frozen=True)
class RoundPlan(Settings):
    """Rounds.

    Which epoch belongs to which round.

    Attributes:
        rounds: R, the curriculum rounds after the initial round 0.
        epochs_per_round: epochs of each round.
        first_round_epochs: epochs of round 0; 0 means the same as the others.
    """

    rounds: int = setting(4, "Curriculum rounds after the initial one.", at_least(0))
    epochs_per_round: int = setting(
        200, "Epochs of each round; 0, with no curriculum round: none at all.", at_least(0)
    )
    first_round_epochs: int = setting(0, "Epochs of round 0; 0: as the others.", at_least(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds and not self.epochs_per_round:
            raise SettingError(
                Argument("epochs_per_round", 0), " leaves ", Argument("rounds", self.rounds),
                " without a step: raise it, or pass ", Argument("rounds", 0), ".",
            )  # fmt: skip

    @property
    def starts(self) -> list[int]:
        """The first epoch of each round 0..R, and the number of all epochs at the end."""
        first = self.first_round_epochs or self.epochs_per_round
        return [0, *(first + r * self.epochs_per_round for r in range(self.rounds + 1))]

    @property
    def total_epochs(self) -> int:
        return self.starts[-1]

    def round_of(self, epoch: int) -> int:
        """The round of an epoch; epochs after the plan's end belong to the last round."""
        return sum(epoch >= start for start in self.starts[1:-1])

    def ends_round(self, epoch: int) -> bool:
        return epoch + 1 in self.starts


@dataclasses.dataclass(frozen=True)
class SingleRound(RoundPlan):
    """Rounds.

    The plan of a method without a curriculum: all epochs are one round.
    """

    rounds: int = setting(0, "None: there is no curriculum.", at_least(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds:
            name = "first_round_epochs" if self.first_round_epochs else "epochs_per_round"
            raise SettingError(
                Argument("rounds", self.rounds), " asks for a curriculum, which this method lacks: "
                "they would only restart its learning rate. For as many epochs in one round pass ",
                Argument("rounds", 0), " and ", Argument(name, self.total_epochs), ".",
            )  # fmt: skip
