"""evaluate.py: what the features of a run are worth on held-out images."""

from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.choice_remarks import choice_remarks
from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.cli.unused import without_unused
from and_tf.errors import Argument
from and_tf.evaluation.protocols import PROTOCOLS
from and_tf.evaluation.settings import (
    EvaluationSettings,
    ProtocolChoice,
    evaluation_settings,
    unused_names,
)


def flags() -> Flags:
    """The flags of evaluate.py."""
    return Flags(
        "evaluate.py",
        "Measures how good the features of a run are on held-out images.",
        (
            "python evaluate.py --workdir=runs/digits",
            "python evaluate.py --classifier=linear --layer=conv4",
        ),
        [EvaluationSettings, *PROTOCOLS.values()],
        remarks=choice_remarks("classifier", PROTOCOLS, EvaluationSettings),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs evaluate.py, also called and-evaluate, and returns the exit status."""
    program = flags()
    return run_program(program, lambda values: _prepare(program, values), argv)


def _prepare(program: Flags, values: dict[str, Any]) -> Callable[[], object]:
    classifier = Argument("classifier", values.get("classifier", ProtocolChoice.classifier))
    settings = evaluation_settings(
        without_unused(program, values, unused_names(values), classifier)
    )

    def start() -> None:
        from and_tf.evaluation.run import evaluate_run

        evaluate_run(settings)

    return start
