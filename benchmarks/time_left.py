"""How long the runs of a table still take, by the epochs that were done before."""

import collections
import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Work(NamedTuple):
    """What a training has to do: its epochs, and the augmented views of an image in each."""

    epochs: int
    views: int = 1


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        kind: runs of one kind take about as long.
        work: the whole of it.
        epochs: how many are done.
        timed_epochs: how many of them were done in the time of `seconds`.
        seconds: of training and evaluation.
    """

    kind: str
    work: Work
    epochs: int
    timed_epochs: int
    seconds: float


def seconds_left(left: Sequence[Progress], ended: Sequence[Progress] = ()) -> float | None:
    """Seconds that runs still take, one after another; None before any epoch was timed.

    Evaluations count as a part of the epochs. Runs of a kind of which none has been timed are taken
    to be as fast as the others.

    Args:
        left: runs that have something left to do.
        ended: others, whose times are known.
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
