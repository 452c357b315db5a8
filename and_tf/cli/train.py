"""train.py: an experiment from its flags to its exported encoder."""

import logging
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.choice_remarks import choice_remarks
from and_tf.cli.commands import command
from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.cli.unused import without_unused
from and_tf.data import absolute_spec
from and_tf.errors import Argument, UserError
from and_tf.methods import METHODS
from and_tf.methods.choice import MethodChoice
from and_tf.methods.rounds import RoundPlan
from and_tf.settings import build, flat_values
from and_tf.training.settings import (
    ExperimentSettings,
    experiment_settings,
    unused_names,
)

logger = logging.getLogger(__name__)


def flags() -> Flags:
    """The flags of train.py."""
    return Flags(
        "train.py",
        "Learns image features without labels, or from labels for comparison.",
        (
            "python train.py --config=folder --data=PHOTOS",
            "python train.py --config=digits",
            "python train.py --config=list",
        ),
        [ExperimentSettings, *METHODS.values()],
        has_cards=True,
        takes_former=True,
        remarks=choice_remarks(
            "method",
            METHODS,
            ExperimentSettings,
            {name: method.recipe for name, method in METHODS.items()},
        ),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs train.py, also called and-train, and returns the exit status."""
    program = flags()
    return run_program(program, lambda values: _prepare(program, values), argv)


def read_settings(argv: Sequence[str]) -> ExperimentSettings:
    """The settings that a command line gives."""
    program = flags()
    return _settings(program, program.parse(argv))


def _settings(program: Flags, values: dict[str, Any]) -> ExperimentSettings:
    """The settings, without values from a card or flagfile that the method does not use."""
    method = Argument("method", values.get("method", MethodChoice.method))
    used = without_unused(program, values, unused_names(values), method)
    settings = experiment_settings(used)
    _warn_of_epochs(settings.method.plan, {n: v for n, v in values.items() if n not in used})
    return settings


def _warn_of_epochs(plan: RoundPlan, left_out: dict[str, Any]) -> None:
    """Warns if a plan has fewer or more epochs because settings were left out."""
    if not plan.total_epochs:
        return
    asked = build(RoundPlan, flat_values(plan) | left_out).total_epochs
    if asked != plan.total_epochs:
        logger.warning(
            "training is one round of %s epochs, but the plan of the file has %s: to train for as "
            "many, pass %s.",
            f"{plan.total_epochs:,}", f"{asked:,}", Argument("epochs_per_round", asked),
        )  # fmt: skip


def _prepare(program: Flags, values: dict[str, Any]) -> Callable[[], object]:
    if not values:
        raise UserError(
            "say what to train on: `python train.py --config=folder --data=PHOTOS` for a folder "
            "of photos, `python train.py --config=digits` to try it in two minutes; "
            "`python train.py --config=list` shows all cards."
        )
    settings = _settings(program, values)

    def start() -> None:
        from and_tf.cli.control import control_command
        from and_tf.export.run import export_finished_run
        from and_tf.report.conclusion import conclude_experiment
        from and_tf.training.build import Experiment
        from and_tf.training.loop import run_experiment

        def conclude(experiment: Experiment) -> list[str]:
            return conclude_experiment(experiment, control_command(experiment.run))

        if run_experiment(settings, export_finished_run, conclude):
            print(next_commands(settings))

    return start


def next_commands(settings: ExperimentSettings) -> str:
    """Commands to copy, for what to do next with a finished run."""
    run = shlex.quote(settings.run.folder)
    kind, _, path = absolute_spec(settings.data.data).partition(":")
    images = shlex.quote(path) if kind == "folder" else "PHOTOS"
    commands = {
        f"{command('report')} --workdir={run}": "a page on what was learned",
        f"{command('embed')} --model={run} --images={images}": "embed a folder of photos",
        f"{command('export')} --workdir={run} --format=onnx": "use the encoder elsewhere",
    }
    width = max(map(len, commands))
    return "\n".join(["Next:", *(f"  {text:{width}}  # {why}" for text, why in commands.items())])
