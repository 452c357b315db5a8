"""train.py: an experiment from its flags to its exported encoder."""

from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.errors import UserError
from and_tf.methods import METHODS
from and_tf.training.settings import ExperimentSettings, experiment_settings


def flags() -> Flags:
    """The flags of train.py."""
    return Flags(
        "train.py",
        "Learns image features without labels.",
        (
            "python train.py --config=folder --data=PHOTOS",
            "python train.py --config=digits",
            "python train.py --config=list",
        ),
        [ExperimentSettings, *METHODS.values()],
        has_cards=True,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs train.py, also called and-train; gives the exit status."""
    return run_program(flags(), _prepare, argv)


def read_settings(argv: Sequence[str]) -> ExperimentSettings:
    """The settings that the words of a command line mean."""
    return experiment_settings(flags().parse(argv))


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    if not values:
        raise UserError(
            "say what to train on: `python train.py --config=folder --data=PHOTOS` for a folder "
            "of photos, `python train.py --config=digits` to try it in two minutes; "
            "`python train.py --config=list` shows all cards."
        )
    settings = experiment_settings(values)

    def start() -> None:
        from and_tf.export.run import export_finished_run
        from and_tf.training.loop import run_experiment

        run_experiment(settings, export_finished_run)

    return start
