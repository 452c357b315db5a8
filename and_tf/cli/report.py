"""report.py: one HTML page on a run, and its data for TensorBoard."""

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.commands import command
from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.report.settings import ReportSettings
from and_tf.runs.settings import RunChoice
from and_tf.settings import build


def flags() -> Flags:
    """The flags of report.py."""
    return Flags(
        "report.py",
        "Writes what a run has learned as one HTML page.",
        (
            "python report.py --workdir=runs/digits",
            "python report.py --output=page.html --images=2000",
        ),
        [RunChoice, ReportSettings],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs report.py, also called and-report, and returns the exit status."""
    return run_program(flags(), _prepare, argv)


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    choice, settings = build(RunChoice, values), build(ReportSettings, values)

    def start() -> None:
        from and_tf.cli.control import control_command
        from and_tf.report.write import write_report
        from and_tf.runs.workdir import open_run

        run = open_run(choice.workdir)
        of_run = dataclasses.replace(choice, workdir=str(run.path))
        written = write_report(of_run, settings, _command(values), control_command(run))
        size = written.page.stat().st_size / 1e6
        print(f"Report: {written.page} ({size:.1f} MB)")
        print(f"TensorBoard: {written.tensorboard / 'report'}")
        print(f"To see it: tensorboard --logdir={shlex.quote(str(written.tensorboard))}")

    return start


def _command(values: dict[str, Any]) -> str:
    """The command that writes the page again."""
    given = (f"--{name}={value}" for name, value in values.items())
    return f"{command('report')} {shlex.join(given)}".rstrip()
