"""Estimates how long the runs of a table still take, from the epochs that are finished."""

import collections
import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Work(NamedTuple):
    """The work of a training run: its epochs, and the augmented views of an image in each."""

    epochs: int
    views: int = 1


class Progress(NamedTuple):
    """Progress of a run.

    Attributes:
        kind: runs of the same kind take about equally long.
        work: of the whole run.
        epochs: number of finished epochs.
        timed_epochs: how many of them took the time `seconds`.
        seconds: of training and evaluation.
    """

    kind: str
    work: Work
    epochs: int
    timed_epochs: int
    seconds: float


def seconds_left(left: Sequence[Progress], ended: Sequence[Progress] = ()) -> float | None:
    """Seconds that runs still take, one after another; None before any epoch was timed.

    Evaluations count as part of the epochs. If no run of a kind has been timed, it is assumed to be
    as fast as the others.

    Args:
        left: runs that are not finished.
        ended: other runs, whose times are known.
    """
    rates: dict[str, list[float]] = collections.defaultdict(list)  # seconds per view and epoch
    for run in (*left, *ended):
        if run.timed_epochs > 0 and run.seconds:
            rates[run.kind].append(run.seconds / run.timed_epochs / run.work.views)
    if not rates:
        return None
    of_all = list(itertools.chain(*rates.values()))
    return sum(
        (run.work.epochs - run.epochs)
        * run.work.views
        * statistics.mean(rates.get(run.kind, of_all))
        for run in left
    )
