"""The page of results has every published result that the report compares with."""

import json
from pathlib import Path

import pytest

from and_tf.report import published

PAGE = Path(__file__).parents[2] / "docs/results.md"
NONE = "\N{EN DASH}"  # in a cell
TABLES = json.loads(published.FILE.read_text())["tables"]


@pytest.mark.parametrize(
    "of_network", [("alexnet", 32), ("resnet18", 32)], ids=lambda network: network[0]
)
def test_small_images(of_network):
    tables = [t for t in TABLES if (t["encoder"], t["image_size"]) == of_network]
    assert [table["data"] for table in tables] == ["CIFAR-10", "CIFAR-100", "SVHN"]
    columns = tables[0]["columns"]
    for number, (protocol, layer) in enumerate(columns):
        methods = dict.fromkeys(row["method"] for table in tables for row in table["rows"])
        for method in methods:
            values = [_value(table, method, number) for table in tables]
            if values != [NONE] * 3:
                name = method if len(columns) == 1 else f"{protocol} on {layer}: {method}"
                assert _line(name, *values) in _lines()


def test_large_images():
    for table in TABLES:
        if table["image_size"] != 32:
            for number, row in enumerate(table["rows"]):
                values = [_value(table, row["method"], n) for n in range(len(table["columns"]))]
                assert _line(row["method"], *values) in _lines(), (table["data"], number)


def _value(table, method, column):
    values = [row["values"][column] for row in table["rows"] if row["method"] == method]
    return NONE if values in ([], [None]) else f"{values[0]:.1f}"


def _line(*cells):
    return f"| {' | '.join(cells)} |"


def _lines():
    return PAGE.read_text(encoding="utf-8").splitlines()
