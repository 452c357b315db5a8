"""Tables as text."""

from benchmarks.tables import aligned, markdown

ROWS = [{"case": "plain", "ms": 12.3456}, {"ms": 12345.6, "case": "in blocks"}]


def test_cells_follow_the_header_whatever_the_order_of_a_row():
    assert markdown(ROWS).splitlines() == [
        "| case | ms |", "|---|---|", "| plain | 12.3 |", "| in blocks | 12,346 |"
    ]  # fmt: skip


def test_columns_are_aligned_for_a_terminal():
    assert aligned(ROWS).splitlines() == ["case       ms", "plain      12.3", "in blocks  12,346"]
