"""Runs of train.py and evaluate.py for a table: finished ones are kept, broken-off ones go on.

A run lies in a folder of its own, with every setting and each evaluation in it. What a table knows
of a run is read from there, so that a result of other options is never taken for one of these.
"""

import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from and_tf.cli import evaluate, train
from and_tf.encoders.stages import ALEXNET_LAYERS, RESNET_LAYERS
from and_tf.errors import UserError
from and_tf.evaluation.results import file_stem
from and_tf.evaluation.settings import evaluation_settings
from and_tf.runs.atomic_files import replace_file
from and_tf.runs.workdir import Workdir
from and_tf.training.durations import clock

PROGRAMS = Path(__file__).parents[1]
RESNET_NAMES = dict(zip(ALEXNET_LAYERS, RESNET_LAYERS, strict=True))
MACHINE = ""  # the device of a machine without several GPUs
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_LINES = 600.0

Question = tuple[str, ...]  # flags of evaluate.py


class Run(NamedTuple):
    """A training and its evaluations.

    Attributes:
        name: of its folder.
        kind: runs of one kind take about as long.
        flags: of train.py, without the folder.
        questions: what evaluate.py is to measure when it is trained.
    """

    name: str
    kind: str
    flags: tuple[str, ...]
    questions: tuple[Question, ...] = ()


class Work(NamedTuple):
    """What a training has to do: its epochs, and the augmented views of an image in each."""

    epochs: int
    views: int = 1


class Process(Protocol):
    """What is used of `subprocess.Popen`."""

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def terminate(self) -> None: ...


def start(command: Sequence[str], log: Path, device: str) -> Process:
    """Starts a program of the package on a device; what it logs is added to a file."""
    environment = dict(os.environ)
    if device != MACHINE:
        environment["CUDA_VISIBLE_DEVICES"] = device
    words = [sys.executable, str(PROGRAMS / command[0]), *command[1:]]
    with log.open("a") as file:
        return subprocess.Popen(words, stdout=file, stderr=file, env=environment)


@functools.cache
def file_stems(question: Question) -> list[str]:
    """How evaluate.py may name its answer: it names a layer as the network does."""
    settings = evaluation_settings(evaluate.flags().parse(question))
    layer = settings.features.layer
    names = dict.fromkeys([layer, RESNET_NAMES.get(layer, layer)])
    return [file_stem(settings, name) for name in names]


def stop_with_a_table() -> None:
    """Lets a request to end this program, as by `kill`, end the runs as well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def devices() -> list[str]:
    """The GPUs that TensorFlow sees, as CUDA_VISIBLE_DEVICES names them; else the machine."""
    import tensorflow as tf

    count = len(tf.config.list_physical_devices("GPU"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    return names[:count] or [MACHINE]


class Job:
    """A run on a device.

    Attributes:
        commands: what is left to do, one after another.
        command, process: that which runs now; None before the first.
        began: when the job did, by the monotonic clock.
        first_epoch: epochs of the run that had been done then.
    """

    def __init__(self, run: Run, device: str, commands: Iterator[list[str]], first_epoch: int):
        self.run, self.device, self.commands = run, device, commands
        self.command: list[str] = []
        self.process: Process | None = None
        self.began, self.first_epoch = time.monotonic(), first_epoch


class Runs:
    """The runs of a table.

    Args:
        folder: of all runs.
        record: JSON file of what is kept of each run, such as the seconds that it took.
        on: the devices, each of which has one run at a time.
    """

    def __init__(self, folder: Path, record: Path, on: Sequence[str] = (MACHINE,)):
        self.folder, self.record, self.devices = folder, record, on
        self.known: dict[str, dict[str, Any]] = {}
        if record.is_file():
            self.known = json.loads(record.read_text())
        self.jobs: list[Job] = []
        self.waiting: deque[Run] = deque()
        self.later: Sequence[Run] = ()
        self.after: Callable[[Run], None] = lambda run: None
        self.begun: dict[str, Run] = {}
        self.work: dict[str, Work] = {}
        self.told = time.monotonic()

    def workdir(self, run: Run) -> Workdir:
        return Workdir(self.folder / run.name)

    def carry_out(
        self,
        runs: Sequence[Run],
        later: Sequence[Run] = (),
        after: Callable[[Run], None] = lambda run: None,
    ) -> None:
        """Trains and evaluates, each run on a device of its own, what is not done yet.

        Args:
            runs: in the order in which they begin.
            later: runs of further calls, to know how long all of them take.
            after: is called with each run that is done, also where it was done before.

        Raises:
            SystemExit: if a folder holds a run of other settings, before anything is started; if a
                program fails or is stopped. The others are stopped, too, and go on next time.
        """
        for run in (*runs, *later):
            self._check(run)
        self.waiting, self.later, self.after = deque(runs), later, after
        try:
            while self.waiting or self.jobs:
                self._begin()
                for job in list(self.jobs):
                    if job.process is None or job.process.poll() is not None:
                        self._proceed(job)
                self._tell_now_and_then()
                if self.jobs:
                    time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            self._stop()

    def answer(self, run: Run, question: Question) -> dict[str, Any] | None:
        """What evaluate.py wrote on the end of a run, or None; see `evaluation.results`."""
        workdir = self.workdir(run)
        last_step = max((record["step"] for record in workdir.read_metrics()), default=None)
        for stem in file_stems(question):
            path = workdir.evaluations / f"{stem}.json"
            if path.is_file():
                report = json.loads(path.read_text())
                if report["step"] == last_step:
                    return report
        return None

    def keep(self, run: Run, **found: Any) -> None:
        """Adds to what is kept of a run."""
        self.known[run.name] = self.known.get(run.name, {}) | found
        self.record.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.record, json.dumps(self.known, indent=2) + "\n")

    def _check(self, run: Run) -> None:
        """Refuses a folder that holds a run of other settings than those asked for."""
        from and_tf.training.start import check_run_folder, settings_of_run

        workdir = self.workdir(run)
        try:
            settings = train.read_settings([*run.flags, f"--workdir={workdir.path}"])
            check_run_folder(workdir, settings_of_run(settings, workdir))
        except UserError as error:
            reason = error.message(train.flags().spell)
            raise SystemExit(
                f"{reason} A table with other options needs another --folder."
            ) from None
        method = settings.method
        epochs = method.plan.total_epochs if method.trains else 0
        self.work[run.name] = Work(epochs, method.views)

    def _begin(self) -> None:
        """Gives each idle device the next run that has something left to do."""
        for device in self.devices:
            if not self.waiting or any(job.device == device for job in self.jobs):
                continue
            run = self.waiting.popleft()
            self.begun[run.name] = run
            self.jobs.append(Job(run, device, self._commands(run), self._epoch(run)))

    def _commands(self, run: Run) -> Iterator[list[str]]:
        """What is still to be done for a run; each command has ended when the next is asked for."""
        workdir = self.workdir(run)
        of_run = f"--workdir={workdir.path}"
        if not workdir.summary.is_file():
            self._tell(f"{self._place(run)}{self._left()}: {run.name}")
            yield ["train.py", *run.flags, of_run]
            if not workdir.summary.is_file():  # asked to stop, it ends with 0 as well
                raise SystemExit(f"{run.name} was stopped: the same command continues.")
        for question in run.questions:
            if self.answer(run, question) is None:
                yield ["evaluate.py", of_run, *question]

    def _proceed(self, job: Job) -> None:
        """Goes on to a job's next command, when the present one has ended well."""
        log = self.folder / f"{job.run.name}.log"
        if job.process is not None and (status := job.process.wait()):
            raise SystemExit(f"{' '.join(job.command)} ended with status {status}: see {log}.")
        command = next(job.commands, None)
        if command is None:
            self._end(job)
            self.after(job.run)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        job.command, job.process = command, start(command, log, job.device)

    def _end(self, job: Job) -> None:
        """Takes a job from its device, and adds its time to that of its run."""
        self.jobs.remove(job)
        if job.process is None:  # all was done before
            return
        before = self.known.get(job.run.name, {}).get("seconds", 0.0)
        self.keep(job.run, seconds=before + time.monotonic() - job.began)

    def _stop(self) -> None:
        """Asks all programs that still run to end; a training keeps a checkpoint before it does."""
        for job in self.jobs:
            if job.process is not None and job.process.poll() is None:
                job.process.terminate()
        for job in list(self.jobs):
            if job.process is not None:
                job.process.wait()
            self._end(job)

    def _tell(self, line: str) -> None:
        print(f"{time.strftime('%H:%M')} {line}", file=sys.stderr, flush=True)
        self.told = time.monotonic()

    def _tell_now_and_then(self) -> None:
        if self.jobs and time.monotonic() - self.told > SECONDS_BETWEEN_LINES:
            self._tell(", ".join(self._progress(job.run) for job in self.jobs) + self._left())

    def _place(self, run: Run) -> str:
        """Which of how many, and where."""
        names = list(dict.fromkeys([*self.begun, *(other.name for other in self.waiting)]))
        device = next(job.device for job in self.jobs if job.run is run)
        where = "" if device == MACHINE else f" on GPU {device}"
        return f"run {names.index(run.name) + 1} of {len(names) + len(self.later)}{where}"

    def _progress(self, run: Run) -> str:
        return f"{run.name} at epoch {self._epoch(run)} of {self.work[run.name].epochs}"

    def _epoch(self, run: Run) -> int:
        """Epochs that are done."""
        records = self.workdir(run).read_metrics()
        return max((record.get("epoch", 0) for record in records), default=0)

    def _left(self) -> str:
        seconds = self.seconds_left()
        return "" if seconds is None else f", about {clock(seconds)} left in all"

    def seconds_left(self) -> float | None:
        """How long all runs that are left take, by the epochs that are done; None before any is."""
        rates = self._seconds_per_view()
        if not rates:
            return None
        of_all = [rate for of_kind in rates.values() for rate in of_kind]
        seconds = 0.0
        for run in (*(job.run for job in self.jobs), *self.waiting, *self.later):
            epochs, views = self.work[run.name]
            rate = statistics.mean(rates.get(run.kind, of_all))
            seconds += (epochs - self._epoch(run)) * views * rate
        return seconds / len(self.devices)

    def _seconds_per_view(self) -> dict[str, list[float]]:
        """How long an epoch of one view took, by kind of run.

        It is that of each run, and where one runs now, of what it has done since it was started.
        """
        rates: dict[str, list[float]] = {}
        running = {job.run.name: job for job in self.jobs}
        for run in (*self.begun.values(), *self.waiting):
            done, seconds = self._epoch(run), self.known.get(run.name, {}).get("seconds", 0.0)
            if job := running.get(run.name):
                done, seconds = done - job.first_epoch, time.monotonic() - job.began
            if done > 0 and seconds:
                rates.setdefault(run.kind, []).append(seconds / done / self.work[run.name].views)
        return rates
