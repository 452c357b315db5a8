"""The page names the command that writes it again as the reader types it."""

import pytest

from and_tf.cli.report import _command


@pytest.mark.parametrize(
    ("started", "program"),
    [("report.py", "python report.py"), ("/usr/bin/and-report", "and-report")],
)
def test_the_command_is_that_of_a_checkout_or_of_an_installed_program(
    started, program, monkeypatch
):
    monkeypatch.setattr("sys.argv", [started])
    assert _command({"workdir": "my runs/a"}) == f"{program} '--workdir=my runs/a'"
