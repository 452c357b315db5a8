"""Measured gains from training with neighbours, and how consistent these were.

All such results in the program are here. Each has a table with its command and commit in
docs/results.md, "Do the neighbours pay?".
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class MeasuredGain:
    """Pairs of otherwise identical runs of AND and Instance on one set of images.

    Attributes:
        images: the training images, in words.
        consistency: percentage of neighbours of their anchor's class, lowest and highest over the
            rounds.
        points: kNN top-1 of AND minus that of Instance, for each pair.
    """

    images: str
    consistency: tuple[int, int]
    points: tuple[float, ...]

    def describe(self) -> str:
        """The gain as part of a sentence."""
        least, most = self.consistency
        percent = f"{least} to {most} %" if least < most else f"{least} %"
        points = ", ".join(f"{gain:+.1f}" if gain else "0.0" for gain in self.points)
        return f"{points} points on {self.images} ({percent} consistent)"


GAINS = (
    MeasuredGain("5,000 images of CIFAR-10", (18, 26), (-1.0, -1.8, -1.3)),
    MeasuredGain("all of CIFAR-10 after 45 epochs", (37, 52), (-1.1,)),
    MeasuredGain("digits", (96, 96), (1.3, 0.0, 1.7)),
    # From an Instance that had stopped improving:
    MeasuredGain("digits after 200 epochs of round 0", (88, 95), (0.3, 0.6, 0.0)),
    MeasuredGain("the same digits with 10 neighbours", (70, 86), (3.1, 1.7, 1.4)),
    MeasuredGain(
        "2,000 images of CIFAR-10 after 200 epochs, with 10 neighbours",
        (26, 31),
        (-0.5, -0.6, -1.6),
    ),
)


def describe_gains() -> str:
    """All of them in one sentence, for comparison with the consistency of a run."""
    measured = "; ".join(gain.describe() for gain in GAINS)
    return (
        "For comparison, kNN of AND minus that of Instance, in pairs of runs with one seed each: "
        f"{measured}."
    )
