"""What a run has stored in its folder, up to the checkpoint that is reported on."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.errors import BrokenFile
from and_tf.evaluation import results
from and_tf.evaluation.protocols import PROTOCOLS
from and_tf.methods import Method
from and_tf.methods.method import NEIGHBOURHOOD_ARRAYS
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint, schema
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import ExperimentSettings, read_settings

# What evaluate.py writes.
EVALUATION = schema.evaluation(
    [*results.SETTINGS, *results.METRICS, *(f"{name}_deviation" for name in results.METRICS)]
)


@dataclasses.dataclass(frozen=True)
class RoundEnd:
    """What a finished round has stored; a method may store none of the arrays.

    Attributes:
        number: of the round.
        step: optimiser steps at its end.
        entropy: (N,) float32 in nats, of each image's neighbourhood; all 0 before the first
            discovery.
        neighbours: (N, k) int, nearest first.
        is_anchor: (N,) bool.
    """

    number: int
    step: int
    entropy: np.ndarray | None = None
    neighbours: np.ndarray | None = None
    is_anchor: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Discovery:
    """The neighbourhoods that a round began with.

    Attributes:
        round: its number.
        entropy: (N,) float32 in nats.
        neighbours: (N, k) int, nearest first.
        is_anchor: (N,) bool; all False if the method selects none.
    """

    round: int
    entropy: np.ndarray
    neighbours: np.ndarray
    is_anchor: np.ndarray


@dataclasses.dataclass(frozen=True)
class Record:
    """The contents of a run's files.

    Attributes:
        settings: those of the run.
        metadata: run.json.
        epochs: one record per epoch, with `loss`, from metrics.jsonl.
        evaluations: one record per evaluation during training, from metrics.jsonl.
        round_ends: of the finished rounds, in order.
        protocols: what evaluate.py wrote, one dict per file.
        step: optimiser steps of the checkpoint that is reported on; None if not known.
    """

    settings: ExperimentSettings
    metadata: dict[str, Any]
    epochs: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    round_ends: list[RoundEnd]
    protocols: list[dict[str, Any]]
    step: int | None = None

    @property
    def plan(self) -> RoundPlan:
        return self.settings.method.plan

    @property
    def epochs_done(self) -> int:
        return max((record["epoch"] for record in self.epochs), default=0)

    @property
    def is_finished(self) -> bool:
        return self.epochs_done >= self.plan.total_epochs or not self.settings.method.trains

    @property
    def hours(self) -> float:
        """Time spent on training steps; evaluation and checkpoints are not counted."""
        rates = [record["images_per_second"] for record in self.epochs]
        return sum(self.metadata["images"] / rate for rate in rates if rate > 0) / 3600

    @property
    def images_per_second(self) -> float | None:
        """The median over epochs, or None before the first one."""
        rates = [record["images_per_second"] for record in self.epochs]
        return float(np.median(rates)) if rates else None

    @property
    def discoveries(self) -> list[Discovery]:
        """The neighbourhoods with which finished rounds began, in order of rounds."""
        return discoveries(self.round_ends)

    def latest(self, name: str) -> float | None:
        """The newest value of a metric of the evaluations, or None if it was never measured."""
        values = [record[name] for record in self.evaluations if name in record]
        return values[-1] if values else None

    def by_round(self, name: str) -> dict[int, float]:
        """The last value of a metric of the evaluations in each round."""
        return {record["round"]: record[name] for record in self.evaluations if name in record}


def discoveries(round_ends: Sequence[RoundEnd]) -> list[Discovery]:
    """The neighbourhoods with which rounds began; rounds without any are left out."""
    found = []
    for end in round_ends:
        if end.entropy is None or end.neighbours is None or not end.entropy.any():
            continue
        no_anchor = np.zeros(len(end.entropy), bool)
        is_anchor = no_anchor if end.is_anchor is None else end.is_anchor.astype(bool)
        found.append(Discovery(end.number, end.entropy, end.neighbours, is_anchor))
    return found


def read_record(run: Workdir, step: int | None = None) -> Record:
    """Reads the folder of a run, finished or not; files that are not the run's are ignored.

    Args:
        run: the folder.
        step: optimiser steps of the checkpoint that is reported on; later results are left out.

    Raises:
        NotFound: if the folder holds no run.
        BrokenFile: if a file of the run is corrupt.
    """
    settings, metadata = read_settings(run), run.read_metadata()
    if missing := sorted({"images", "fingerprint"} - metadata.keys()):
        raise BrokenFile(f"{run.metadata} cannot be read (there is no {missing[0]!r}): restore it.")
    metrics = [m for m in _measured(run, settings.method.plan) if step is None or m["step"] <= step]
    found = _round_ends(run, settings.method, metadata["images"])
    ends = [end for end in found if step is None or end.step <= step]
    return Record(
        settings=settings,
        metadata=metadata,
        epochs=[record for record in metrics if "loss" in record],
        evaluations=[record for record in metrics if "loss" not in record],
        round_ends=ends,
        protocols=_protocols(run.evaluations),
        step=step,
    )


def _measured(run: Workdir, plan: RoundPlan) -> list[dict[str, Any]]:
    """The records of metrics.jsonl, without NaN or infinite values, which cannot be plotted."""
    records = []
    for number, record in enumerate(run.read_metrics(), start=1):
        needed = ("epoch", "round", *(("images_per_second",) if "loss" in record else ()))
        fault = next((f"there is no {name!r}" for name in needed if name not in record), "")
        if not fault and (record["epoch"] > plan.total_epochs or record["round"] > plan.rounds):
            fault = (
                f"it is of epoch {record['epoch']} in round {record['round']}, but the run ends "
                f"with epoch {plan.total_epochs} in round {plan.rounds}"
            )
        if fault:
            raise BrokenFile(
                f"{run.metrics} is corrupt in line {number} ({fault}): restore it, or remove that "
                "line."
            )
        records.append({n: v for n, v in record.items() if n in needed or math.isfinite(v)})
    return records


def _round_ends(run: Workdir, method: Method, images: int) -> list[RoundEnd]:
    ends = []
    for number in run.ended_rounds():
        if number <= method.plan.rounds:
            arrays, metadata, path = run.load_checkpoint(f"round_{number}", NEIGHBOURHOOD_ARRAYS)
            kept = {name: arrays.get(name) for name in method.neighbourhood_arrays}
            if fault := _fault_of_end(number, metadata, kept, images):
                raise BrokenFile(f"{path} is corrupt ({fault}): restore it, or remove it.")
            ends.append(RoundEnd(number, metadata["step"], **kept))
    return ends


def _fault_of_end(
    number: int, metadata: dict[str, Any], kept: Mapping[str, np.ndarray | None], images: int
) -> str:
    """What is wrong with the end of a round of `images` images, as text; empty if nothing is."""
    if metadata.get("round", number) != number:
        return f"it is of round {metadata['round']}"
    kinds = {
        "entropy": ("f", 1, np.inf),
        "neighbours": ("iu", 2, images - 1),
        "is_anchor": ("b", 1, 1),
    }
    for name, array in kept.items():
        kind, axes, highest = kinds[name]
        if array is None:
            continue
        if array.dtype.kind not in kind or array.ndim != axes or len(array) != images:
            return f"{name} holds {array.dtype} of shape {array.shape} for {images} images"
        lowest = -np.inf if kind == "f" else 0
        if array.size == 0 or (fault := checkpoint.fault_of_values(array, lowest, highest)):
            return f"{name} holds {fault if array.size else 'nothing'}"
    return ""


def _protocols(folder: Path) -> list[dict[str, Any]]:
    """What evaluate.py wrote: files whose name begins with a protocol's."""
    found = []
    for path in sorted(folder.glob("*.json")):
        if path.stem.split("_")[0] not in PROTOCOLS or not path.is_file():
            continue
        remedy = "remove it, or run that evaluate.py again"
        found.append(schema.read_object(path, EVALUATION, remedy))
    return found


def anchor_since(found: Sequence[Discovery], indices: np.ndarray) -> list[int | None]:
    """The round since which each image has been an anchor without a break; None if it is not one.

    Args:
        found: in the order of rounds.
        indices: (n,) int, of training images.
    """
    if not found:
        return [None] * len(indices)
    is_anchor = np.stack([each.is_anchor[indices] for each in reversed(found)])  # (R, n)
    unbroken = np.logical_and.accumulate(is_anchor).sum(axis=0)  # (n,) rounds, counted back
    return [found[-count].round if count else None for count in unbroken]
