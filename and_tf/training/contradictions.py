"""Checks that a checkpoint is consistent: its step, and what follows from the step."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from and_tf.training.build import Experiment


def contradiction(
    experiment: "Experiment", metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> str:
    """Describes what in a checkpoint contradicts its step or its metadata; empty if nothing does.

    Args:
        experiment: to be continued.
        metadata: of the checkpoint.
        arrays: of the checkpoint.
    """
    step, per_epoch = metadata["step"], experiment.steps_per_epoch
    interrupted = metadata.get("interrupted")
    if interrupted and experiment.total_steps and (interrupted["epoch"] + 1) * per_epoch != step:
        return f"epoch {interrupted['epoch'] + 1} does not end with its step, {step}"
    counters = experiment.settings.method.counters((step - 1) // per_epoch) if step else {}
    for name, value in counters.items():
        found = arrays.get(name)  # another type or shape is refused when it is restored
        if found is not None and (found.dtype.kind, found.ndim) == ("i", 0) and found != value:
            return f"its {name} is {found}, while step {step} is in {name} {value}"
    told, is_anchor = metadata.get("curriculum", {}).get("anchors"), arrays.get("is_anchor")
    if told is None or is_anchor is None or is_anchor.dtype != bool:
        return ""
    return "" if is_anchor.sum() == told else f"it names {told} anchors and holds {is_anchor.sum()}"


def epochs_without_metrics(
    metadata: Mapping[str, Any], records: list[dict[str, Any]], steps_per_epoch: int
) -> tuple[int, int]:
    """Epochs before a checkpoint of which metrics.jsonl has no record.

    Lines may have been removed, as corrupt ones are, or the step may have been forged.

    Args:
        metadata: of the checkpoint.
        records: of metrics.jsonl.
        steps_per_epoch: of the run.

    Returns:
        The number of these epochs, and the first of them, counted from 1.
    """
    ended = metadata["step"] // steps_per_epoch - ("interrupted" in metadata)
    logged = {r["epoch"] for r in records if "loss" in r and 1 <= r.get("epoch", 0) <= ended}
    first = next(epoch for epoch in itertools.count(1) if epoch not in logged)
    return ended - len(logged), first
