"""What is printed of names stays on one line."""

import pytest

from and_tf.collection.printing import one_line, print_line


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb.png", "a\\nb.png"), ("a\r\x1b[2J.png", "a\\r\\x1b[2J.png"),
     ("a\u2028b", "a\\u2028b"), ("caf\u00e9\u202fa", "caf\u00e9\u202fa"), ("\udcff.png", "?.png")],
)  # fmt: skip
def test_control_characters_are_escaped_and_others_stay(name, shown, capsys):
    assert one_line(name) == shown
    print_line(name)
    assert capsys.readouterr().out == f"{shown}\n"
