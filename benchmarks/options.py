"""What the options on the bank gain at equal encoder work: python -m benchmarks.options

Trains variants of Instance and AND on the images of a card, all for the same number of views x
epochs, and prints one table of kNN on the test images. A variant is a method and options:
`and+views+cld`. Its candidates, such as two learning rates, are compared by kNN on training images
that are not trained on, with the first seed; the best of them is trained with the other seeds as
well and evaluated on the test images.

Each run is a `train.py` of its own in --folder, so a table that was killed goes on: finished runs
are kept, the one that was broken off continues from its checkpoint, and a folder with runs of other
options is refused. With several GPUs each has a run of its own. Flags after `--` go to every run:

    python -m benchmarks.options --folder=runs/options -- --data_dir=PREPARED
"""

import argparse
import itertools
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from and_tf.training.settings import ExperimentSettings
from benchmarks.numbers import at_least_one
from benchmarks.processes import devices, set_up_runs
from benchmarks.questions import Question
from benchmarks.runs import Run, Runs
from benchmarks.timing import show

# Each part of a variant's name: its title, and the flags of each of its candidates.
PARTS: dict[str, tuple[str, list[list[str]]]] = {
    "instance": ("Instance", [["--method=instance"]]),
    "and": ("AND", [["--method=and"]]),
    "views": ("2 views", [["--views=2"]]),
    "cld": ("CLD", [["--group_weight=1"]]),
    "entropy": ("entropy", [["--entropy_weight=0.2"]]),
    "flip": ("flip", [["--flip"]]),
}
VARIANTS = (
    "instance", "and", "instance+views", "and+views", "and+views+cld", "and+views+entropy",
    "and+views+flip", "instance+views+cld+flip", "and+views+cld+flip", "and+flip",
)  # fmt: skip
NOTE = (
    "Seed 0 chose each variant's settings and is one of the seeds of its mean; the test images "
    "chose nothing."
)


class Candidate(NamedTuple):
    """Settings of a variant, with a seed.

    Attributes:
        variant: parts joined by +.
        flags: of the candidate.
        seed: of the run.
    """

    variant: str
    flags: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return "_".join([*(flag.strip("-") for flag in self.flags), f"seed={self.seed}"])


def main() -> None:
    options = parser().parse_args()
    set_up_runs()
    table = Table(options, devices())
    rows = table.rows()
    show(table.title, rows, options.json, is_timed=False, note=NOTE, runs=table.runs.record.known)
    print(f"\n{NOTE}")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/options"), help="of all runs")
    parser.add_argument("--card", default="configs/cifar10_small.cfg", help="flags of all runs")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="with commas between")
    parser.add_argument("--work", type=at_least_one, default=10, help="views x epochs of a round")
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--rates", default="0.03,0.06", help="learning rates to choose from")
    parser.add_argument("--train", default="train[:5000]", help="split to train on")
    parser.add_argument("--tune", default="train[5000:7000]", help="split to choose settings by")
    parser.add_argument("--test", default="test[:2000]", help="split of the table")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("flags", nargs="*", help="of every run, after --")
    return parser


def candidates(variant: str, rates: str) -> Iterator[Candidate]:
    """The candidates of a variant, with the first seed."""
    parts = variant.split("+")
    if unknown := set(parts) - PARTS.keys():
        raise SystemExit(f"Unknown: {', '.join(unknown)}. Known: {', '.join(PARTS)}.")
    of_rates = [[f"--learning_rate={rate}"] for rate in rates.split(",")]
    for flags in itertools.product(*(PARTS[part][1] for part in parts), of_rates):
        yield Candidate(variant, tuple(itertools.chain(*flags)), seed=0)


def title(variant: str) -> str:
    return " + ".join(PARTS[part][0] for part in variant.split("+"))


class Table:
    """The table of some options.

    Args:
        options: of the command line.
        devices: each has one run at a time.
    """

    def __init__(self, options: argparse.Namespace, devices: list[str]):
        self.options = options
        self.runs = Runs(options.folder, options.folder / "options.json", devices, self.check_work)
        self.test: Question = ("--classifier=knn", f"--eval_split={options.test}")

    @property
    def title(self) -> str:
        options = self.options
        return (
            f"kNN top-1 (K = 200) of {options.test} against {options.train}; views x epochs of a "
            f"round: {options.work}; settings chosen on {options.tune} with seed 0"
        )

    def rows(self) -> list[dict[str, str]]:
        """A line for each variant, when all that it needs is trained and evaluated."""
        tried = [
            list(candidates(name, self.options.rates)) for name in self.options.variants.split(",")
        ]
        seeds = range(self.options.seeds)
        later = [self.run(first._replace(seed=seed)) for first, *_ in tried for seed in seeds[1:]]
        first = [self.run(one) for one in itertools.chain(*tried)]
        self.runs.carry_out(first, later, after=self.check_tuned)
        best = [max(of_variant, key=self.tuned) for of_variant in tried]
        chosen = [[one._replace(seed=seed) for seed in seeds] for one in best]
        self.runs.carry_out([self.run(one, self.test) for one in itertools.chain(*chosen)])
        return [self.row(of_variant) for of_variant in chosen]

    def run(self, one: Candidate, *questions: Question) -> Run:
        """The training of a candidate, and what is to be measured of it."""
        options, views = self.options, 2 if "--views=2" in one.flags else 1
        if options.work % views:
            raise SystemExit(f"--work={options.work} is not a multiple of {views} views.")
        epochs = options.work // views
        flags = (
            f"--flagfile={options.card}", "--first_round_epochs=0",
            f"--epochs_per_round={epochs}", "--eval_every=0",
            f"--train_split={options.train}", f"--eval_split={options.tune}", *one.flags,
            f"--seed={one.seed}", *options.flags,
        )  # fmt: skip
        return Run(one.name, one.variant, flags, questions)

    def check_work(self, run: Run, settings: ExperimentSettings) -> None:
        """Refuses a run that does other work than --work, as by flags after `--`."""
        plan, views = settings.method.plan, settings.method.views
        wanted = self.options.work * (plan.rounds + 1)
        if views * plan.total_epochs != wanted:
            raise SystemExit(
                f"{run.name}: {views} views x {plan.total_epochs} epochs are not the {wanted} of "
                f"--work={self.options.work} in each of {plan.rounds + 1} rounds: leave out flags "
                "of views and of the length of rounds, such as --first_round_epochs, or choose "
                "another --card."
            )

    def check_tuned(self, run: Run) -> None:
        """Ends the table at its first run if nothing says which candidate is best."""
        if not any("knn_top1" in record for record in self.runs.workdir(run).read_metrics()):
            raise SystemExit(
                f"{run.name} has no kNN on --tune={self.options.tune}, by which settings are "
                "chosen: name images with labels."
            )

    def tuned(self, one: Candidate) -> float:
        """kNN of a trained run on the images by which settings are chosen, in percent."""
        return self._measured(one)["tuned"]

    def row(self, chosen: list[Candidate]) -> dict[str, str]:
        """A line of the table, of the seeds of a variant."""
        found = [self._measured(one) for one in chosen]
        tests = [measured["test"] for measured in found]
        consistent = [measured["consistency"] for measured in found if "consistency" in measured]
        is_known = len(consistent) == len(found)
        return {
            "variant": title(chosen[0].variant),
            "kNN, %": f"{statistics.mean(tests):.1f}",
            "std": f"{statistics.stdev(tests):.1f}" if len(tests) > 1 else "",
            "seeds": ", ".join(f"{test:.1f}" for test in tests),
            "on images to choose by, %": f"{statistics.mean(m['tuned'] for m in found):.1f}",
            "last consistency, %": f"{statistics.mean(consistent):.1f}" if is_known else "",
            "chosen": " ".join(chosen[0].flags),
        }

    def _measured(self, one: Candidate) -> dict[str, float]:
        """What is known of a trained run, which its record keeps too."""
        run = self.run(one)
        records = self.runs.workdir(run).read_metrics()
        found = {"tuned": [r["knn_top1"] for r in records if "knn_top1" in r][-1]}
        if consistent := [r["consistency"] for r in records if "consistency" in r]:
            found["consistency"] = consistent[-1]
        if report := self.runs.answer(run, self.test):
            found["test"] = report["top1"]
        self.runs.record.keep(run.name, **found)
        return found


if __name__ == "__main__":
    main()
