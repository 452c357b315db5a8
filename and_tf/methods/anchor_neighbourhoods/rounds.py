"""The plan of a run: which epoch belongs to which round."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RoundPlan:
    """The rounds of a run in epochs.

    Attributes:
        rounds: R, the curriculum rounds after the initial round 0.
        epochs_per_round: epochs of each round.
        first_round_epochs: epochs of round 0; 0 means the same as the others.
    """

    rounds: int = 4
    epochs_per_round: int = 200
    first_round_epochs: int = 0

    def __post_init__(self):
        if self.rounds < 0:
            raise ValueError(f"rounds must not be negative. Received rounds={self.rounds}.")
        if self.epochs_per_round < 1 or self.first_round_epochs < 0:
            raise ValueError(
                "A round needs at least one epoch. Received "
                f"epochs_per_round={self.epochs_per_round}, "
                f"first_round_epochs={self.first_round_epochs}."
            )

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
