"""Results for the paper's table: a cell per method and protocol, next to the published result."""

import functools
import re
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from and_tf.methods import METHODS
from and_tf.report.published import KNN, LINEAR, Column, Setting, Table, data_name, tables
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import read_settings
from benchmarks.questions import Question
from benchmarks.runs import Run, Runs

COLUMNS: dict[Column, Question] = {
    KNN: ("--classifier=knn",),
    (LINEAR, "conv5"): ("--classifier=linear", "--layer=conv5"),
}
NOTHING = "-"


class Cell(NamedTuple):
    """Top-1 of a method under a protocol, in percent.

    Attributes:
        values: one per seed.
        published: the published value, or None.
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


class Results:
    """Results of the finished runs.

    Args:
        runs: of the table.
        methods: its rows, in order.

    Attributes:
        finished: runs that are trained and evaluated; grows as they finish.
    """

    def __init__(self, runs: Runs, methods: Sequence[str]):
        self.runs, self.methods = runs, methods
        self.finished: list[Run] = []

    def cell(self, method: str, column: Column) -> Cell:
        values = [report["top1"] for report in self._reports(method, column)]
        table = self.published
        return Cell(values, table.result(title(method), column) if table else None)

    def _reports(self, method: str, column: Column) -> list[dict[str, Any]]:
        """The reports of evaluate.py for the finished seeds, in order."""
        reports = [self.runs.answer(run, COLUMNS[column]) for run in self._of(method)]
        return [report for report in reports if report]

    def _of(self, method: str) -> list[Run]:
        of_method = [run for run in self.finished if run.kind == method]
        return sorted(of_method, key=lambda run: int(run.name.rpartition("_")[2]))

    def workdir(self, method: str) -> Workdir | None:
        """The workdir of the first finished run of a method, or None."""
        return next((self.runs.workdir(run) for run in self._of(method)), None)

    @functools.cached_property
    def setting(self) -> Setting:
        """The setting of all runs; known once the first is finished."""
        run = self.finished[0]
        workdir = self.runs.workdir(run)
        settings = read_settings(workdir)
        report, *_ = self._reports(run.kind, KNN)
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
        """The published table of the same data set, if possible of the same encoder."""
        ours = self.setting
        of_data = [table for table in tables() if table.setting.data == ours.data]

        def distance(table: Table) -> tuple[bool, int]:
            return table.setting.encoder != ours.encoder, -len({*table.columns} & COLUMNS.keys())

        return min(of_data, key=distance, default=None)

    def values(self) -> list[float]:
        """The values of all cells."""
        cells = [self.cell(method, column) for method in self.methods for column in COLUMNS]
        return [value for cell in cells for value in cell.values]

    def rows(self) -> list[dict[str, str]]:
        """The lines of the table for printing."""
        rows = []
        for method in self.methods:
            cells = {", ".join(column): self.cell(method, column) for column in COLUMNS}
            count = max(len(cell.values) for cell in cells.values())
            row = {"method": title(method), "seeds": str(count)}
            rows.append(row | {name: str(cell) for name, cell in cells.items()})
        return rows

    def record(self, method: str) -> dict[str, Any]:
        """A line of the table for the JSON file."""
        row: dict[str, Any] = {}
        for column in COLUMNS:
            cell = self.cell(method, column)
            found = {"mean": cell.mean, "std": cell.std, "published": cell.published}
            known = {name: value for name, value in found.items() if value is not None}
            row[", ".join(column)] = {"values": cell.values, **known}
        known_of_runs = self.runs.record.known
        seconds = [known_of_runs.get(run.name, {}).get("seconds") for run in self._of(method)]
        return row | {"seconds": seconds}


def title(method: str) -> str:
    """A method's name in the table."""
    return METHODS[method].published_name
