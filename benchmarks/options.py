"""What the options on the bank gain at equal encoder work: python -m benchmarks.options

Trains variants of Instance and AND on the images of a card, all for the same number of views x
epochs, and prints one table of kNN on the test images. A variant is a method and options:
`and+views+cld`. Its candidates, such as two learning rates, are compared by kNN on training images
that are not trained on, with the first seed; the best of them is trained with the other seeds as
well and evaluated on the test images.

Each run is a `train.py` of its own in --folder, so a table that was killed goes on: finished runs
are kept, the one that was broken off continues from its checkpoint. Flags after `--` go to every
run:

    python -m benchmarks.options --folder=runs/options -- --data_dir=PREPARED
"""

import argparse
import itertools
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from and_tf.runs.atomic_files import replace_file
from benchmarks.timing import show

# Each part of a variant's name: its title, and the flags of each of its candidates.
PARTS: dict[str, tuple[str, list[list[str]]]] = {
    "instance": ("Instance", [["--method=instance"]]),
    "and": ("AND", [["--method=and"]]),
    "views": ("2 views", [["--views=2"]]),
    "cld": ("CLD", [["--group_weight=1"]]),
    "entropy": ("entropy", [["--entropy_weight=0.2"]]),
    "flip": ("flip", [["--flip"]]),
    "mutual": ("mutual", [["--neighbours=mutual"]]),
}
VARIANTS = (
    "instance", "and", "instance+views", "and+views", "and+views+cld", "and+views+entropy",
    "and+views+flip", "and+views+mutual", "instance+views+cld+flip", "and+views+cld+flip",
)  # fmt: skip


class Run(NamedTuple):
    """One training: a candidate of a variant, with a seed.

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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/options"), help="of all runs")
    parser.add_argument("--card", default="configs/cifar10_small.cfg", help="flags of all runs")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="with commas between")
    parser.add_argument("--work", type=int, default=10, help="views x epochs of a round")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", default="0.03,0.06", help="learning rates to choose from")
    parser.add_argument("--train", default="train[:5000]", help="split to train on")
    parser.add_argument("--tune", default="train[5000:7000]", help="split to choose settings by")
    parser.add_argument("--test", default="test[:2000]", help="split of the table")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("flags", nargs="*", help="of every run, after --")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the run is stopped, too
    variants = options.variants.split(",")
    table = Table(options)
    candidates = [list(runs_to_tune(variant, options.rates)) for variant in variants]
    table.planned = sum(map(len, candidates)) + len(variants) * (options.seeds - 1)
    for run in itertools.chain(*candidates):
        table.train(run)
    rows = []
    for runs in candidates:
        best = max(runs, key=table.tuned)
        chosen = [best._replace(seed=seed) for seed in range(options.seeds)]
        for run in chosen:
            table.train(run)
            table.evaluate(run)
        rows.append(table.row(best, chosen))
    show(
        f"kNN top-1 (K = 200) of {options.test} against {options.train}; views x epochs of a "
        f"round: {options.work}; settings chosen on {options.tune} with seed 0",
        rows, options.json, runs=table.known,
    )  # fmt: skip


def runs_to_tune(variant: str, rates: str) -> Iterator[Run]:
    """The candidates of a variant, with the first seed."""
    parts = variant.split("+")
    if unknown := set(parts) - PARTS.keys():
        raise SystemExit(f"Unknown: {', '.join(unknown)}. Known: {', '.join(PARTS)}.")
    of_rates = [[f"--learning_rate={rate}"] for rate in rates.split(",")]
    for flags in itertools.product(*(PARTS[part][1] for part in parts), of_rates):
        yield Run(variant, tuple(itertools.chain(*flags)), seed=0)


def title(variant: str) -> str:
    return " + ".join(PARTS[part][0] for part in variant.split("+"))


class Table:
    """The runs of a table, and what is known of them.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace):
        self.options, self.path = options, options.folder / "options.json"
        self.planned, self.begun = 0, set[str]()
        self.known: dict[str, dict[str, float]] = {}
        if self.path.is_file():
            self.known = json.loads(self.path.read_text())

    def train(self, run: Run) -> None:
        """Trains a run to its end, unless it is there; goes on where it was broken off."""
        self.begun.add(run.name)
        if "tuned" in self.known.get(run.name, {}):
            return
        self._tell(run)
        views = 2 if "--views=2" in run.flags else 1
        if self.options.work % views:
            raise SystemExit(f"--work={self.options.work} is no multiple of {views} views.")
        started = time.monotonic()
        self._call(run, [
            "train.py", f"--flagfile={self.options.card}", f"--workdir={self._folder(run)}",
            f"--epochs_per_round={self.options.work // views}", "--eval_every=0",
            f"--train_split={self.options.train}", f"--eval_split={self.options.tune}",
            *run.flags, f"--seed={run.seed}", *self.options.flags,
        ])  # fmt: skip
        lines = (self._folder(run) / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        evaluated = [record for record in records if "knn_top1" in record]
        consistent = [record["consistency"] for record in records if "consistency" in record]
        found = {"tuned": evaluated[-1]["knn_top1"], "seconds": time.monotonic() - started}
        self._keep(run, found | ({"consistency": consistent[-1]} if consistent else {}))

    def _tell(self, run: Run) -> None:
        """Says on stderr which run begins, and how long all that are left take, as far as known."""
        times = [found["seconds"] for found in self.known.values() if "seconds" in found]
        left = self.planned - len(self.begun) + 1
        hours = f", about {left * statistics.mean(times) / 3600:.1f} h left" if times else ""
        place = f"run {len(self.begun)} of {self.planned}{hours}"
        print(f"{time.strftime('%H:%M')} {place}: {run.name}", file=sys.stderr, flush=True)

    def evaluate(self, run: Run) -> None:
        """Measures kNN of a trained run on the test images, unless it is known."""
        if "test" in self.known[run.name]:
            return
        folder = self._folder(run)
        self._call(run, [
            "evaluate.py", f"--workdir={folder}", "--classifier=knn",
            f"--eval_split={self.options.test}",
        ])  # fmt: skip
        newest = max(folder.glob("evaluations/*.json"), key=lambda path: path.stat().st_mtime)
        self._keep(run, {"test": json.loads(newest.read_text())["top1"]})

    def tuned(self, run: Run) -> float:
        """kNN of a trained run on the images by which settings are chosen, in percent."""
        return self.known[run.name]["tuned"]

    def row(self, best: Run, chosen: list[Run]) -> dict[str, str]:
        """A line of the table."""
        tests = [self.known[run.name]["test"] for run in chosen]
        tuned = [self.known[run.name]["tuned"] for run in chosen]
        consistent = [self.known[run.name].get("consistency") for run in chosen]
        is_known = all(value is not None for value in consistent)
        return {
            "variant": title(best.variant),
            "kNN, %": f"{statistics.mean(tests):.1f}",
            "std": f"{statistics.stdev(tests):.1f}" if len(tests) > 1 else "",
            "seeds": ", ".join(f"{test:.1f}" for test in tests),
            "on images to choose by, %": f"{statistics.mean(tuned):.1f}",
            "last consistency, %": f"{statistics.mean(consistent):.1f}" if is_known else "",
            "chosen": " ".join(best.flags),
        }

    def _folder(self, run: Run) -> Path:
        return self.options.folder / run.name

    def _keep(self, run: Run, found: dict[str, float]) -> None:
        self.known[run.name] = self.known.get(run.name, {}) | found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, json.dumps(self.known, indent=2) + "\n")

    def _call(self, run: Run, command: list[str]) -> None:
        """Runs a program of the package; what it logs is kept beside the runs."""
        log = self.options.folder / f"{run.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            process = subprocess.Popen([sys.executable, *command], stdout=file, stderr=file)
            try:
                status = process.wait()
            except BaseException:  # interrupted: the run keeps a checkpoint and ends
                process.terminate()
                process.wait()
                raise
        # A run that was asked to stop ends with 0 as well, without its summary.
        if status or not (self._folder(run) / "summary.txt").is_file():
            raise SystemExit(f"{' '.join(command)} ended with status {status}: see {log}.")


if __name__ == "__main__":
    main()
