"""Metrics by round as tables."""

from helpers.report_runs import settings_of

from and_tf.report.metric_tables import by_round
from and_tf.report.record import Record
from and_tf.report.sections.label_free import TITLES


def record(evaluations=()):
    return Record(settings_of(), {}, [], list(evaluations), [], [])


def test_the_last_value_of_each_round_stands_in_the_table():
    evaluations = [
        {"round": 0, "hubness": 1.0}, {"round": 0, "hubness": 2.0}, {"round": 2, "uniformity": -3.0}
    ]  # fmt: skip
    table = by_round(record(evaluations), TITLES)
    assert table.head == ["round", "uniformity", "hubness"]
    assert [row[0] for row in table.rows] == ["0", "2"]
    assert table.rows[0][2] == "2.0" and table.rows[1][1] == "-3.00"
    assert by_round(record(), TITLES) is None
