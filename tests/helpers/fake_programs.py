"""train.py and evaluate.py that take no time: they leave what the real ones do, and set results."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers import programs

from and_tf.cli import evaluate
from and_tf.evaluation.results import file_stem
from and_tf.evaluation.settings import evaluation_settings
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import ExperimentSettings, read_settings
from benchmarks import runs

# Top-1 of an evaluation: of the settings of a run, the protocol and the images.
Result = Callable[[ExperimentSettings, str, str], float]


class Ended:
    """A process that ends at the n-th look.

    Args:
        looks: n.
        status: with which it ends.
    """

    def __init__(self, looks: int = 1, status: int = 0):
        self.looks, self.status, self.is_terminated = looks, status, False

    def poll(self) -> int | None:
        self.looks -= 1
        return None if self.looks > 0 else self.status

    def wait(self) -> int:
        return self.status

    def terminate(self) -> None:
        self.is_terminated = True


class FakePrograms:
    """In place of `benchmarks.runs.start`; keeps the commands.

    Args:
        result: of each evaluation.

    Attributes:
        broken, stopped: name of a run whose training ends after one epoch, with status 1, or with 0
            as after a request to stop.
    """

    def __init__(self, result: Result):
        self.result, self.broken, self.stopped = result, "", ""
        self.commands: list[list[str]] = []
        self.devices: list[str] = []
        self.processes: list[Ended] = []

    def __call__(self, command: Sequence[str], log: Path, device: str) -> Ended:
        self.commands.append(list(command))
        self.devices.append(device)
        do = {"train.py": self._train, "evaluate.py": self._evaluate}[command[0]]
        status = do(command[1:])
        self.processes.append(Ended(looks=1 if status else 3, status=status))
        return self.processes[-1]

    def trained(self) -> list[str]:
        """Names of the runs that train.py was called for, in order."""
        return [self._folder(words).name for words in self.commands if words[0] == "train.py"]

    def evaluated(self) -> list[str]:
        """The same of evaluate.py."""
        return [self._folder(words).name for words in self.commands if words[0] == "evaluate.py"]

    @staticmethod
    def _folder(words: Sequence[str]) -> Path:
        (folder,) = [word.partition("=")[2] for word in words if word.startswith("--workdir=")]
        return Path(folder)

    def _train(self, argv: Sequence[str]) -> int:
        settings = programs.read_settings(argv)
        run, epochs = Workdir(settings.run.folder), settings.method.plan.total_epochs
        run.path.mkdir(parents=True, exist_ok=True)
        run.write_flags(settings)
        run.write_metadata({"mean": [0.5], "std": [0.2], "images": 5000})
        is_cut = run.path.name in (self.broken, self.stopped)
        ended = 1 if is_cut else epochs
        tuned = self.result(settings, "knn", settings.data.eval_split)
        lines = [{"step": 4 * n, "epoch": n, "loss": 1.0} for n in range(1, ended + 1)]
        lines += [{"step": 4 * ended, "epoch": ended, "knn_top1": tuned}]
        run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
        if not is_cut:
            run.write_summary("finished\n")
        return int(run.path.name == self.broken)

    def _evaluate(self, argv: Sequence[str]) -> int:
        settings = evaluation_settings(evaluate.flags().parse(argv))
        run = Workdir(settings.run.workdir)
        split = settings.images.eval_split or read_settings(run).data.eval_split
        kind = settings.choice.classifier
        report = {
            "step": max(record["step"] for record in run.read_metrics()),
            "top1": self.result(read_settings(run), kind, split),
            "queries": f"images {split}, 2000 images",
        }
        run.evaluations.mkdir(exist_ok=True)
        path = run.evaluations / f"{file_stem(settings, settings.features.layer)}.json"
        path.write_text(json.dumps(report))
        return 0


def start_by(monkeypatch: pytest.MonkeyPatch, start: Callable) -> None:
    """Lets tables start programs by `start`, and look at once whether these have ended."""
    monkeypatch.setattr(runs, "start", start)
    monkeypatch.setattr(runs, "SECONDS_BETWEEN_LOOKS", 0)
