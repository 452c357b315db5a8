"""The parts that all benchmarks share."""

import json

import numpy as np

from benchmarks.timing import interleaved, medians, peak_mb, resident_mb, show


def test_cases_run_in_turns_after_one_uncounted_call_each():
    calls = []
    seconds = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_medians_are_of_each_case():
    assert medians({"a": [3.0, 1.0, 2.0], "b": [5.0, 7.0]}) == {"a": 2.0, "b": 6.0}


def test_the_table_and_the_json_hold_the_same_rows(tmp_path, capsys):
    rows = [{"case": "plain", "ms": 12.3456}, {"case": "in blocks", "ms": 12345.6}]
    show("A title", rows, tmp_path / "found.json", single=[1, 2])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "A title" and "cores" in printed[1]
    assert printed[3:7] == [
        "| case | ms |", "|---|---|", "| plain | 12.3 |", "| in blocks | 12,346 |"
    ]  # fmt: skip
    record = json.loads((tmp_path / "found.json").read_text())
    assert record["rows"] == rows and record["single"] == [1, 2] and record["machine"]


def test_the_peak_is_found_though_it_is_freed_again():
    before = resident_mb()
    assert 75 < peak_mb(lambda: np.ones(10_000_000)) - before < 120
    assert peak_mb(lambda: None) - before < 40
