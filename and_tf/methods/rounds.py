"""The plan of a run: which epoch belongs to which round."""

import dataclasses
from typing import Any, ClassVar

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
        of_curriculum: names of those settings that must be 0, because there is no curriculum.
    """

    of_curriculum: ClassVar[tuple[str, ...]] = ()

    rounds: int = setting(4, "Curriculum rounds after the initial one.", at_least(0))
    epochs_per_round: int = setting(
        200, "Epochs of each round; 0, without curriculum rounds: no training.", at_least(0)
    )
    first_round_epochs: int = setting(0, "Epochs of round 0; 0: as in the others.", at_least(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds and not self.epochs_per_round:
            raise SettingError(
                Argument("epochs_per_round", 0), " leaves ", Argument("rounds", self.rounds),
                " without a step: raise it, or pass ", Argument("rounds", 0), ".",
            )  # fmt: skip

    def start_of(self, number: int) -> int:
        """The first epoch of a round; for R + 1, after the last round, the number of epochs."""
        if number == 0:
            return 0
        first = self.first_round_epochs or self.epochs_per_round
        return first + (number - 1) * self.epochs_per_round

    @property
    def total_epochs(self) -> int:
        return self.start_of(self.rounds + 1)

    def round_of(self, epoch: int) -> int:
        """The round of an epoch; epochs after the plan's end belong to the last round."""
        later = epoch - self.start_of(1)
        if later < 0 or not self.rounds:
            return 0
        return min(self.rounds, 1 + later // self.epochs_per_round)

    def ends_round(self, epoch: int) -> bool:
        number = self.round_of(epoch + 1)
        return epoch + 1 in (self.start_of(number), self.total_epochs)


@dataclasses.dataclass(frozen=True)
class SingleRound(RoundPlan):
    """Rounds.

    The plan of a method without a curriculum: all epochs, `epochs_per_round`, are one round.
    """

    of_curriculum = ("rounds", "first_round_epochs")

    rounds: int = setting(0, "None: there is no curriculum.", at_least(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in self.of_curriculum if getattr(self, name)]
        if given:
            raise SettingError(
                Argument(given[0], getattr(self, given[0])), " belongs to a curriculum, which "
                "this method lacks: all its epochs are one round. For as many epochs pass ",
                *_listed([Argument(name, 0) for name in given]), " and ",
                Argument("epochs_per_round", self.total_epochs), ".",
            )  # fmt: skip


def _listed(arguments: list[Argument]) -> list[Any]:
    """Parts of a message, separated by commas."""
    return [part for argument in arguments for part in (", ", argument)][1:]
