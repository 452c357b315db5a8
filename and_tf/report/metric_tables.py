"""Metrics by round, as tables of the page."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from and_tf.methods.method import Method
from and_tf.report.record import Record

NOTHING = "\N{EN DASH}"
ONE_DIGIT = ("effective_rank", "hubness")  # as for all percentages; others have two


class MetricTable(NamedTuple):
    """A table of text.

    Attributes:
        head: title of each column.
        rows: cells of each row; the first is the row's name.
    """

    head: list[str]
    rows: list[list[str]]


def by_round(record: Record, titles: Mapping[str, str]) -> MetricTable | None:
    """The metrics that were measured, each with its last value in each round.

    Args:
        record: of the run.
        titles: column title of each metric.

    Returns:
        The table, or None if nothing was measured.
    """
    records = [*record.epochs, *record.evaluations]
    last = {name: {r["round"]: r[name] for r in records if name in r} for name in titles}
    last = {name: values for name, values in last.items() if values}
    if not last:
        return None
    rounds = sorted({number for values in last.values() for number in values})
    rows = [
        [str(n), *(_cell(name, titles[name], last[name].get(n)) for name in last)] for n in rounds
    ]
    return MetricTable(["round", *(titles[name] for name in last)], rows)


def _cell(name: str, title: str, value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if "%" in title or name in ONE_DIGIT else f"{value:.2f}"


def metric_meanings(record: Record, method: Method, names: Iterable[str]) -> list[tuple[str, str]]:
    """(title without unit, meaning) of those metrics of a method that a run has logged.

    Args:
        record: of the run.
        method: provides titles and meanings.
        names: of the metrics.
    """
    logged = [name for name in names if any(name in epoch for epoch in record.epochs)]
    meanings, titles = method.metric_meanings, method.metric_titles
    return [(titles[n].partition(" (")[0], meanings[n]) for n in logged if n in meanings]
