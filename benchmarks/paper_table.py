"""The paper's first table on images of one's own: python -m benchmarks.paper_table

Trains every method for the same number of epochs and steps, with the same encoder and on the same
images, and measures each as the paper does: weighted kNN on the embedding (fc), and a linear
classifier on the last convolutional layer (conv5). The table has the mean over seeds, in
parentheses the standard deviation, and in brackets what is published for the data set.

The images, encoder and input are those of a card and of flags after `--`. Each method adds what its
original asks for; what that is stands below the table. The last checkpoint is evaluated, and
nothing is chosen by the images it is evaluated on.

    python -m benchmarks.paper_table --data=tfds:cifar10 --epochs=1000 -- --data_dir=PREPARED
    python -m benchmarks.paper_table --card=configs/folder.cfg --data=folder:PHOTOS --epochs=250

Each run is a `train.py` of its own in --folder, so a table that was killed goes on: finished runs
are kept, those that were broken off continue from their checkpoint, and a folder with runs of other
options is refused. With several GPUs each has a run of its own, else one runs after the other. All
methods are trained with the first seed before the next begins, and after each run the table is
written anew: table.md and table.json in --folder.
"""

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from and_tf.runs.atomic_files import replace_file
from and_tf.training.cards import read_card
from and_tf.training.settings import ExperimentSettings
from benchmarks.numbers import at_least_one
from benchmarks.paper_notes import notes
from benchmarks.paper_results import COLUMNS, Results, title
from benchmarks.processes import devices, set_up_runs
from benchmarks.runs import Run, Runs
from benchmarks.tables import aligned, markdown
from benchmarks.timing import machine

ROUNDS = 5  # of AND and Instance, round 0 included
# In the order of the paper's table, between the untrained and the supervised encoder. Each with the
# card that has what its original asks for beyond the recipe of AND, if there is one.
CARDS = {
    "random": "", "split_brain": "cifar10_split_brain", "deepcluster": "cifar10_deepcluster",
    "instance": "", "and": "", "supervised": "cifar10_supervised",
}  # fmt: skip
OF_AND = "cifar10"
# What the table sets itself, and what depends on the images. The batch size is the card's for all
# methods: with larger batches one would take fewer steps in as many epochs.
SET_HERE = {
    "name", "data", "method", "rounds", "epochs_per_round", "first_round_epochs", "num_clusters",
    "batch_size",
}  # fmt: skip


def main() -> None:
    options = parser().parse_args()
    set_up_runs()
    table = PaperTable(options, devices())
    table.carry_out()
    print(table.text())


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=at_least_one, required=True, help="of each method, in all")
    parser.add_argument("--seeds", type=at_least_one, default=3, help="how many, from 0 on")
    parser.add_argument("--data", default="", help="images, in place of those of the card")
    parser.add_argument("--card", default="configs/cifar10.cfg", help="flags of all runs")
    parser.add_argument("--methods", default=",".join(CARDS), help="with commas between")
    parser.add_argument("--folder", type=Path, default=Path("runs/paper_table"), help="of all runs")
    parser.add_argument(
        "--of", type=of_method, action="append", default=[], metavar="'METHOD FLAGS'",
        help='flags of one method alone, as --of="deepcluster --reassign_epochs=5"; repeatable',
    )  # fmt: skip
    parser.add_argument("flags", nargs="*", help="of every run, after --")
    return parser


def of_method(text: str) -> list[str]:
    """The words of `--of`, a method and its flags.

    Raises:
        argparse.ArgumentTypeError: if there are none, or a quotation mark is not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be split ({error})") from None
    if not words:
        raise argparse.ArgumentTypeError("it names no method")
    return words


def own_flags(method: str, epochs: int) -> list[str]:
    """What a method asks for: its epochs, and where its card differs from AND's."""
    if method == "random":
        return ["--rounds=0", "--epochs_per_round=0"]
    if method in ("and", "instance"):
        plan = [f"--rounds={ROUNDS - 1}", f"--epochs_per_round={epochs // ROUNDS}"]
    else:
        plan = ["--rounds=0", f"--epochs_per_round={epochs}"]
    if not CARDS[method]:
        return plan
    usual, own = read_card(OF_AND), read_card(CARDS[method])
    asked = {name: value for name, value in own.items() if value != usual.get(name)}
    return plan + [f"--{name}={asked[name]}" for name in asked if name not in SET_HERE]


class PaperTable:
    """All methods beside each other.

    Args:
        options: of the command line.
        devices: each has one run at a time.
    """

    def __init__(self, options: argparse.Namespace, devices: Sequence[str]):
        self.options, self.methods = options, options.methods.split(",")
        named = {*self.methods, *(words[0] for words in options.of)}
        if unknown := named - CARDS.keys():
            raise SystemExit(f"Unknown: {', '.join(unknown)}. Known: {', '.join(CARDS)}.")
        if options.epochs < ROUNDS or options.epochs % ROUNDS:
            raise SystemExit(
                f"--epochs={options.epochs} is not a multiple of {ROUNDS}, the rounds of AND."
            )
        runs = Runs(options.folder, options.folder / "runs.json", devices, self.check_work)
        self.results = Results(runs, self.methods)

    def carry_out(self) -> None:
        """Trains and evaluates what is not done yet; after each run the table is written."""
        seeds = range(self.options.seeds)
        runs = [self.run(method, seed) for seed in seeds for method in self.methods]
        self.results.runs.carry_out(runs, after=self._add)

    def run(self, method: str, seed: int) -> Run:
        own = [f"--method={method}", *self.flags_of(method), "--eval_every=0", f"--seed={seed}"]
        flags = (self.flags_of_all[0], "--first_round_epochs=0", *self.flags_of_all[1:], *own)
        return Run(f"{method}_{seed}", method, flags, tuple(COLUMNS.values()))

    @property
    def flags_of_all(self) -> list[str]:
        """What every run is given, the card first."""
        options = self.options
        data = [f"--data={options.data}"] * bool(options.data)
        return [f"--flagfile={options.card}", *data, *options.flags]

    def flags_of(self, method: str) -> list[str]:
        """What only this method is given."""
        flags = own_flags(method, self.options.epochs)
        for name, *further in self.options.of:
            flags += further if name == method else []
        return flags

    def check_work(self, run: Run, settings: ExperimentSettings) -> None:
        """Refuses a run of other epochs than --epochs, or of two views where others have one."""
        epochs = settings.method.plan.total_epochs
        if settings.method.trains and epochs != self.options.epochs:
            raise SystemExit(
                f"{title(run.kind)} would be trained for {epochs:,} epochs, not for "
                f"--epochs={self.options.epochs}: leave out flags of the length of rounds, such as "
                "--first_round_epochs."
            )
        if settings.method.views > 1:
            raise SystemExit(
                f"{title(run.kind)} would see {settings.method.views} views of each image in an "
                "epoch, and other methods see one: choose another --card, or turn it off with "
                f'--of="{run.kind} --views=1 --group_weight=0".'
            )

    def _add(self, run: Run) -> None:
        self.results.finished.append(run)
        folder = self.options.folder
        replace_file(folder / "table.md", self.markdown())
        replace_file(folder / "table.json", json.dumps(self.record(), indent=2) + "\n")

    def rows(self) -> list[dict[str, str]]:
        return self.results.rows()

    def notes(self) -> list[str]:
        own = {method: self.flags_of(method) for method in self.methods}
        return notes(self.results, self.options.epochs, self.flags_of_all, own)

    def text(self) -> str:
        """The table for a terminal."""
        return "\n\n".join([machine(), aligned(self.rows()), "\n".join(self.notes())]) + "\n"

    def markdown(self) -> str:
        lines = "\n".join(f"- {line}" for line in self.notes())
        return f"{machine()}\n\n{markdown(self.rows())}\n\n{lines}\n"

    def record(self) -> dict[str, Any]:
        """What table.json holds."""
        rows = [
            {"method": method, "flags": self.flags_of(method), **self.results.record(method)}
            for method in self.methods
        ]
        setting = vars(self.results.setting)
        return {"machine": machine(), "setting": setting, "rows": rows, "notes": self.notes()}


if __name__ == "__main__":
    main()
