"""The evaluations of a trained run, given as flags of evaluate.py, and their reports."""

import functools
import json
from typing import Any

from and_tf.cli import evaluate
from and_tf.encoders.stages import ALEXNET_LAYERS, RESNET_LAYERS
from and_tf.evaluation.results import file_stem
from and_tf.evaluation.settings import evaluation_settings
from and_tf.runs.workdir import Workdir

RESNET_NAMES = dict(zip(ALEXNET_LAYERS, RESNET_LAYERS, strict=True))

Question = tuple[str, ...]  # flags of evaluate.py


def answer(workdir: Workdir, question: Question) -> dict[str, Any] | None:
    """The report of evaluate.py on the end of a run, or None; see `evaluation.results`."""
    last_step = max((record["step"] for record in workdir.read_metrics()), default=None)
    for stem in file_stems(question):
        path = workdir.evaluations / f"{stem}.json"
        if path.is_file():
            report = json.loads(path.read_text())
            if report["step"] == last_step:
                return report
    return None


@functools.cache
def file_stems(question: Question) -> list[str]:
    """Possible file names of evaluate.py's report, which names a layer as the network does."""
    settings = evaluation_settings(evaluate.flags().parse(question))
    layer = settings.features.layer
    names = dict.fromkeys([layer, RESNET_NAMES.get(layer, layer)])
    return [file_stem(settings, name) for name in names]
