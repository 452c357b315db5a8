"""The command that trains a run's control, which tells what its neighbours gained."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from and_tf.cli.commands import command

if TYPE_CHECKING:
    from and_tf.runs.workdir import Workdir


def control_command(run: Workdir) -> str:
    """The command that trains the control of a run of AND, from the settings stored in the run.

    The run's flagfile also holds settings that only AND has; `train.py` ignores those.
    """
    from and_tf.report.verdict.control import settings_of_control

    values = {"flagfile": str(run.flags), **settings_of_control(run)}
    return f"{command('train')} {shlex.join(f'--{name}={text}' for name, text in values.items())}"
