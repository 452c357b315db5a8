"""export.py: the encoder of a run as SavedModel, Keras, ONNX or LiteRT file."""

from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.export.settings import ExportSettings
from and_tf.runs.settings import RunChoice
from and_tf.settings import build


def flags() -> Flags:
    """The flags of export.py."""
    return Flags(
        "export.py",
        "Writes the encoder of a run for use elsewhere.",
        (
            "python export.py --workdir=runs/digits --format=all",
            "python export.py --checkpoint=round_2 --format=onnx --output=encoder.onnx",
        ),
        [RunChoice, ExportSettings],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs export.py, also called and-export, and returns the exit status."""
    return run_program(flags(), _prepare, argv)


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    choice, settings = build(RunChoice, values), build(ExportSettings, values)

    def start() -> None:
        from and_tf.export.run import export_run

        export_run(choice, settings)

    return start
