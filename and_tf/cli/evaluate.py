"""evaluate.py: what the features of a run are worth on held-out images."""

import types
from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.evaluation.settings import (
    EvaluationImageSettings,
    EvaluationSettings,
    ProtocolSettings,
)
from and_tf.runs.settings import RunChoice
from and_tf.settings import build


def flags() -> Flags:
    """The flags of evaluate.py."""
    return Flags(
        "evaluate.py",
        "Measures what the features of a run are worth on held-out images.",
        (
            "python evaluate.py --workdir=runs/digits",
            "python evaluate.py --classifier=linear --layer=conv4",
        ),
        [RunChoice, EvaluationImageSettings, EvaluationSettings, ProtocolSettings],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs evaluate.py, also called and-evaluate; gives the exit status."""
    return run_program(flags(), _prepare, argv)


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    for cls in (EvaluationImageSettings, EvaluationSettings, ProtocolSettings):
        build(cls, values)

    def start() -> None:
        from and_tf.evaluation.run import evaluate_run

        evaluate_run(types.SimpleNamespace(**values))

    return start
