"""What a run has left in its folder, as far as it has come."""

import dataclasses
import json
import types

import numpy as np

from and_tf.evaluation import results
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import read_options


@dataclasses.dataclass(frozen=True)
class Record:
    """The files of a run, read.

    Attributes:
        options: the flags it was started with.
        facts: run.json.
        epochs: one record an epoch, with `loss`, from metrics.jsonl.
        evaluations: one record an evaluation during training, from metrics.jsonl.
        round_ends: one dict a finished round: round, epoch, entropy (N,) float32 in nats,
            neighbours (N, k) int32, is_anchor (N,) bool. Round 0 has no neighbours yet: zeros.
        protocols: what evaluate.py wrote, one dict a file.
        step: optimiser steps of the checkpoint that the report is of; None where not known.
    """

    options: types.SimpleNamespace
    facts: dict
    epochs: list[dict]
    evaluations: list[dict]
    round_ends: list[dict]
    protocols: list[dict]
    step: int | None = None

    @property
    def plan(self) -> RoundPlan:
        options = self.options
        return RoundPlan(options.rounds, options.epochs_per_round, options.first_round_epochs)

    @property
    def epochs_done(self) -> int:
        return max((record["epoch"] for record in self.epochs), default=0)

    @property
    def is_finished(self) -> bool:
        return self.epochs_done >= self.plan.total_epochs

    @property
    def hours(self) -> float:
        """Time spent on training steps; evaluation and checkpoints are not counted."""
        rates = [record["images_per_second"] for record in self.epochs]
        return sum(self.facts["images"] / rate for rate in rates if rate > 0) / 3600

    @property
    def images_per_second(self) -> float | None:
        """The median over epochs, or None before the first one."""
        rates = [record["images_per_second"] for record in self.epochs]
        return float(np.median(rates)) if rates else None

    @property
    def discovery(self) -> dict | None:
        """The last finished round that began with discovery, or None."""
        found = [end for end in self.round_ends if end["round"] > 0]
        return found[-1] if found else None

    def latest(self, name: str) -> float | None:
        """The newest value of a figure of the evaluations, or None where it was never measured."""
        values = [record[name] for record in self.evaluations if name in record]
        return values[-1] if values else None

    def by_round(self, name: str) -> dict[int, float]:
        """The last value of a figure of the evaluations in each round."""
        return {record["round"]: record[name] for record in self.evaluations if name in record}


def read_record(run: Workdir, step: int | None = None) -> Record:
    """Reads a run's folder, whether finished or not.

    Args:
        run: the folder.
        step: optimiser steps of its last checkpoint.

    Raises:
        FileNotFoundError: if the folder holds no run.
        ValueError: if a file in it is damaged.
    """
    options = read_options(run)
    metrics = run.read_metrics()
    return Record(
        options=options,
        facts=run.read_facts(),
        epochs=[record for record in metrics if "loss" in record],
        evaluations=[record for record in metrics if "loss" not in record],
        round_ends=_round_ends(run, options.rounds),
        protocols=_protocols(run),
        step=step,
    )


def _round_ends(run: Workdir, rounds: int) -> list[dict]:
    ends = []
    for number in range(rounds + 1):
        if run.round_file(number).is_file():
            arrays, facts = checkpoint.load(run.round_file(number))
            kept = {name: arrays[name] for name in ("entropy", "neighbours", "is_anchor")}
            ends.append({"round": number, "epoch": facts["epoch"], **kept})
    return ends


def _protocols(run: Workdir) -> list[dict]:
    found = []
    for path in sorted(run.evaluations.glob("*.json")):
        try:
            figures = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            figures = None
        if not _is_sound(figures):
            raise ValueError(f"{path} cannot be read: remove it, or run that evaluate.py again.")
        found.append(figures)
    return found


def _is_sound(report) -> bool:
    """Whether a file of evaluate.py holds what the page shows of it."""
    if not isinstance(report, dict) or "protocol" not in report:
        return False
    notes, rows = report.get("notes", []), report.get("rows", [])
    if not isinstance(notes, list) or not isinstance(rows, list):
        return False
    rows = rows or [report]
    if not all(isinstance(row, dict) for row in rows):
        return False
    names = (*results.SETTINGS, *results.FIGURES, *(f"{n}_deviation" for n in results.FIGURES))
    values = [row[name] for row in rows for name in names if name in row]
    values += [report[name] for name in ("step", "epoch") if name in report]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def anchor_since(round_ends: list[dict], indices: np.ndarray) -> list[int | None]:
    """The round since which each image has been an anchor without a break; None: it is none now.

    Args:
        round_ends: as in `Record`, in the order of rounds.
        indices: (n,) int, of training images.
    """
    ends = [end for end in round_ends if end["round"] > 0]
    if not ends:
        return [None] * len(indices)
    is_anchor = np.stack([end["is_anchor"][indices] for end in reversed(ends)])  # (R, n)
    unbroken = np.logical_and.accumulate(is_anchor).sum(axis=0)  # (n,) rounds, counted back
    return [ends[-count]["round"] if count else None for count in unbroken]
