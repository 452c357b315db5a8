"""The paper's first table on images of one's own: python -m benchmarks.paper_table

Trains every method for the same number of epochs, by the same encoder and on the same images, and
measures each as the paper does: weighted kNN on the embedding (fc), and a linear classifier on the
last convolutional layer (conv5). The table has the mean over seeds, in parentheses the standard
deviation, and in brackets what is published for the data set.

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
import functools
import json
import re
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from and_tf.methods import METHODS
from and_tf.report.published import (
    KNN,
    LINEAR,
    Column,
    Setting,
    Table,
    data_name,
    departures,
    differences,
    tables,
)
from and_tf.report.standard_error import standard_error
from and_tf.runs.atomic_files import replace_file
from and_tf.settings import flat_values
from and_tf.training.cards import read_card
from and_tf.training.settings import read_settings
from benchmarks.runs import Question, Run, Runs, devices, stop_with_a_table
from benchmarks.timing import machine

ROUNDS = 5  # of AND and Instance, round 0 included
# In the order of the paper's table, between the untrained and the supervised encoder. Each with the
# card that has what its original asks for beyond the recipe of AND, if there is one.
CARDS = {
    "random": "", "split_brain": "cifar10_split_brain", "deepcluster": "cifar10_deepcluster",
    "instance": "", "and": "", "supervised": "cifar10_supervised",
}  # fmt: skip
OF_AND = "cifar10"
# What the table sets itself, and what depends on the images.
SET_HERE = {"name", "data", "method", "rounds", "epochs_per_round", "num_clusters"}
COLUMNS: dict[Column, Question] = {
    KNN: ("--classifier=knn",),
    (LINEAR, "conv5"): ("--classifier=linear", "--layer=conv5"),
}
NOTHING = "-"


def main() -> None:
    options = parser().parse_args()
    stop_with_a_table()
    table = PaperTable(options, devices())
    table.carry_out()
    print(table.text())


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, required=True, help="of each method, in all")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    parser.add_argument("--data", default="", help="images, in place of those of the card")
    parser.add_argument("--card", default="configs/cifar10.cfg", help="flags of all runs")
    parser.add_argument("--methods", default=",".join(CARDS), help="with commas between")
    parser.add_argument("--folder", type=Path, default=Path("runs/paper_table"), help="of all runs")
    parser.add_argument(
        "--of", action="append", default=[], metavar="'METHOD FLAGS'",
        help='flags of one method alone, as --of="deepcluster --reassign_epochs=5"; repeatable',
    )  # fmt: skip
    parser.add_argument("flags", nargs="*", help="of every run, after --")
    return parser


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


class Cell(NamedTuple):
    """A method by a protocol, top-1 in percent.

    Attributes:
        values: one a seed.
        published: the published one, or None.
    """

    values: list[float]
    published: float | None

    @property
    def mean(self) -> float | None:
        return statistics.mean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        text = NOTHING if self.mean is None else f"{self.mean:.1f}"
        text += "" if self.std is None else f" ({self.std:.1f})"
        return text if self.published is None else f"{text} [{self.published:.1f}]"


class PaperTable:
    """All methods beside each other.

    Args:
        options: of the command line.
        on: devices, one for each run at a time.
    """

    def __init__(self, options: argparse.Namespace, on: Sequence[str]):
        self.options, self.methods = options, options.methods.split(",")
        self.further = [shlex.split(words) for words in options.of]
        named = {*self.methods, *(words[0] for words in self.further)}
        if unknown := named - CARDS.keys():
            raise SystemExit(f"Unknown: {', '.join(unknown)}. Known: {', '.join(CARDS)}.")
        if options.epochs < ROUNDS or options.epochs % ROUNDS:
            raise SystemExit(
                f"--epochs={options.epochs} is no multiple of {ROUNDS}, the rounds of AND."
            )
        self.runs = Runs(options.folder, options.folder / "runs.json", on)
        self.finished: list[Run] = []

    def carry_out(self) -> None:
        """Trains and evaluates what is not done yet; after each run the table is written."""
        seeds = range(self.options.seeds)
        self.runs.carry_out(
            [self.run(method, seed) for seed in seeds for method in self.methods], after=self._add
        )

    def run(self, method: str, seed: int) -> Run:
        options = self.options
        flags = [f"--flagfile={options.card}", *([f"--data={options.data}"] * bool(options.data))]
        flags += [*options.flags, f"--method={method}", *self.flags_of(method)]
        flags += ["--eval_every=0", f"--seed={seed}"]
        return Run(f"{method}_{seed}", method, tuple(flags), tuple(COLUMNS.values()))

    def flags_of(self, method: str) -> list[str]:
        """What only this method is given."""
        flags = own_flags(method, self.options.epochs)
        for name, *further in self.further:
            flags += further if name == method else []
        return flags

    def _add(self, run: Run) -> None:
        self.finished.append(run)
        folder = self.options.folder
        replace_file(folder / "table.md", self.markdown())
        replace_file(folder / "table.json", json.dumps(self.record(), indent=2) + "\n")

    def cell(self, method: str, column: Column) -> Cell:
        reports = self._reports(method, column)
        table = self.published
        name = METHODS[method].published_name
        published = table.result(name, column) if table else None
        return Cell([report["top1"] for report in reports], published)

    def _reports(self, method: str, column: Column) -> list[dict[str, Any]]:
        """What evaluate.py wrote, for each seed that is finished, in order."""
        runs = sorted(run for run in self.finished if run.kind == method)
        reports = [self.runs.answer(run, COLUMNS[column]) for run in runs]
        return [report for report in reports if report]

    @functools.cached_property
    def setting(self) -> Setting:
        """That of all runs, when the first of them is finished."""
        run = self.finished[0]
        workdir = self.runs.workdir(run)
        settings = read_settings(workdir)
        (report, *_) = self._reports(run.kind, KNN)
        (held_out,) = re.findall(r", (\d+) images", report["queries"])
        return Setting(
            data=data_name(settings.data.data),
            images=workdir.read_metadata()["images"],
            held_out_images=int(held_out),
            encoder=settings.encoder.encoder,
            image_size=settings.augmentation.image_size,
            embedding_dim=settings.encoder.embedding_dim,
            epochs=None,  # they differ between the rows
        )

    @functools.cached_property
    def published(self) -> Table | None:
        """The published table of the same data set: of the same encoder, else the fullest."""
        ours = self.setting
        of_data = [table for table in tables() if table.setting.data == ours.data]

        def distance(table: Table) -> tuple[bool, int]:
            return table.setting.encoder != ours.encoder, -len({*table.columns} & COLUMNS.keys())

        return min(of_data, key=distance, default=None)

    def rows(self) -> list[dict[str, str]]:
        """The lines of the table as it is shown."""
        rows = []
        for method in self.methods:
            cells = {_title(column): self.cell(method, column) for column in COLUMNS}
            counts = {len(cell.values) for cell in cells.values()}
            row = {"method": METHODS[method].published_name, "seeds": str(max(counts))}
            rows.append(row | {name: str(cell) for name, cell in cells.items()})
        return rows

    def notes(self) -> list[str]:
        """What may be compared with what, and how each method was trained."""
        ours, options = self.setting, self.options
        error = max(standard_error(value, ours.held_out_images) for value in self._values())
        lines = [
            f"Cells: top-1 % at the last checkpoint, mean over seeds, (standard deviation), "
            f"[published]. The standard error of one value on {ours.held_out_images:,} images is "
            f"up to {error:.1f} points.",
            f"The rows may be compared with each other: {ours.images:,} training images, "
            f"{options.epochs:,} epochs, encoder {ours.encoder}, {ours.image_size} pixels. Random "
            "weights are not trained, and supervised training reads labels; in what else the "
            "methods differ is listed below.",
            self._beside_published(ours),
            f"All runs: --flagfile={options.card}"
            + f" --data={options.data}" * bool(options.data)
            + "".join(f" {flag}" for flag in options.flags),
        ]
        return lines + [self._of_method(method) for method in self.methods]

    def _values(self) -> list[float]:
        return [
            value
            for method in self.methods
            for column in COLUMNS
            for value in self.cell(method, column).values
        ]

    def _beside_published(self, ours: Setting) -> str:
        """Whether the results in brackets may be compared with those before them."""
        table = self.published
        names = [METHODS[method].published_name for method in self.methods]
        rows = [] if table is None else [table.rows[name] for name in names if name in table.rows]
        if table is None or not rows:
            return f"Nothing is published on {ours.data} for these methods."
        sources = sorted({row.source for row in rows})
        published = f"In brackets: {table.setting}, {', '.join(sources)}"
        if reasons := differences(ours, table.setting):
            return f"{published}; not comparable with the values here: {'; '.join(reasons)}."
        caveats = " ".join(caveat.text for caveat in table.caveats)
        return f"{published}; images and network are those of this table. {caveats}"

    def _of_method(self, method: str) -> str:
        """How a method was trained, and how that differs from its published row."""
        name = METHODS[method].published_name
        line = f"{name}: {' '.join(self.flags_of(method))}"
        row = self.published.rows.get(name) if self.published else None
        runs = [run for run in self.finished if run.kind == method]
        if row is None or not runs:
            return line
        if row.epochs is None:
            return f"{line} (for how many epochs the published row was trained is not recorded)"
        settings = read_settings(self.runs.workdir(runs[0]))
        reasons = [f"with {words}" for words in settings.method.variations]
        reasons += departures(flat_values(settings), row.recipe)
        if row.epochs != self.options.epochs:
            reasons.append(f"{self.options.epochs:,} epochs, not {row.epochs:,}")
        return f"{line} (not as published: {'; '.join(reasons)})" if reasons else line

    def text(self) -> str:
        """The table for a terminal."""
        return self._shown(aligned(self.rows()))

    def markdown(self) -> str:
        return self._shown(markdown(self.rows()), bullet="- ")

    def _shown(self, table: str, bullet: str = "") -> str:
        notes = "\n".join(f"{bullet}{line}" for line in self.notes())
        return f"{machine()}\n\n{table}\n\n{notes}\n"

    def record(self) -> dict[str, Any]:
        """What table.json holds."""
        rows = []
        for method in self.methods:
            row: dict[str, Any] = {"method": method, "flags": self.flags_of(method)}
            for column in COLUMNS:
                cell = self.cell(method, column)
                found = {"values": cell.values, "mean": cell.mean, "std": cell.std}
                found = {name: value for name, value in found.items() if value is not None}
                if cell.published is not None:
                    found["published"] = cell.published
                row[_title(column)] = found
            names = [run.name for run in self.finished if run.kind == method]
            row["seconds"] = [
                self.runs.known.get(name, {}).get("seconds") for name in sorted(names)
            ]
            rows.append(row)
        return {
            "machine": machine(),
            "setting": vars(self.setting),
            "rows": rows,
            "notes": self.notes(),
        }


def _title(column: Column) -> str:
    return f"{column[0]}, {column[1]}"


def aligned(rows: list[dict[str, str]]) -> str:
    """Rows of equal keys as text."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(rows: list[dict[str, str]]) -> str:
    """Rows of equal keys as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
