"""Metrics by round, as tables of the page."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from and_tf.report.record import Record

NOTHING = "\N{EN DASH}"
ONE_DIGIT = ("effective_rank", "hubness")  # as all percentages; others have two


class MetricTable(NamedTuple):
    """A table of text.

    Attributes:
        head: title of each column.
        rows: cells of each row; the first is the row's name.
    """

    head: list[str]
    rows: list[list[str]]


def by_round(record: Record, titles: Mapping[str, str]) -> MetricTable | None:
    """The metrics that were measured, at the end of each round or as far as it has come.

    Args:
        record: of the run.
        titles: of each metric's column.

    Returns:
        The table, or None where nothing was measured.
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
