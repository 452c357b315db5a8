"""Names in a CSV file are no formulas to a spreadsheet, and come back as they were."""

import io
import itertools
import re

import pytest

from and_tf.runs.csv_cells import original, plain, read_rows, row_writer

FORMULAS = [
    "=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1+1", "\r=1+1", "  =1+1", "\uff1d1+1",
    "'=1+1", "''=1", "a;=1+1", "a\t@x", "a\n-b", "=", "-.jpg", "-1.5.jpg",
]  # fmt: skip
PLAIN = ["cat", "a-b.jpg", "photo - copy.jpg", "-1", "+12.50", "-1e-05", "'quoted'", "", "a, -b"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_with_the_sign_of_a_formula_in_any_locale(text):
    for cell in re.split("[;\t\r\n]", plain(text)):
        assert cell.strip()[:1] not in tuple("=+-@\uff1d\uff0b\uff0d\uff20")
    assert original(plain(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_names_and_numbers_stay(text):
    assert plain(text) == text and original(text) == text


def test_every_short_text_comes_back():
    for length in range(6):
        for letters in itertools.product("=-';\t a1\n", repeat=length):
            text = "".join(letters)
            assert original(plain(text)) == text


def test_rows_come_back_as_texts():
    rows = [["name", "value"], ['=a"b, c', -2.5], ["@x\ny", None], ["-3", 7]]
    file = io.StringIO(newline="")
    write_row = row_writer(file)
    for row in rows:
        write_row(row)
    assert "'=a" in file.getvalue() and "'@x" in file.getvalue() and ",-2.5" in file.getvalue()
    file.seek(0)
    expected = [["" if cell is None else str(cell) for cell in row] for row in rows]
    assert list(read_rows(file)) == expected
