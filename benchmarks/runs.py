"""Runs of train.py and evaluate.py for a table: finished runs are kept, interrupted ones continue.

Each run has its own folder, which holds all its settings and evaluations. A table reads its results
from there, so that a result with other options is never mistaken for one of these.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from and_tf.cli import train
from and_tf.errors import UserError
from and_tf.runs.workdir import Workdir
from and_tf.training.durations import clock
from and_tf.training.settings import ExperimentSettings
from benchmarks.processes import MACHINE, Process, start
from benchmarks.questions import Question, answer
from benchmarks.record import Record
from benchmarks.time_left import Progress, Work, seconds_left

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_LINES = 600.0


class Run(NamedTuple):
    """A training run and its evaluations.

    Attributes:
        name: of its folder.
        kind: runs of the same kind take about equally long.
        flags: of train.py, without the folder.
        questions: flags of evaluate.py for each evaluation after training.
    """

    name: str
    kind: str
    flags: tuple[str, ...]
    questions: tuple[Question, ...] = ()


class Job:
    """A run on a device.

    Attributes:
        commands: those that are left, to be run one after another.
        command, process: the current command and its process; empty and None before the first.
        began: when the job began, by the monotonic clock.
        first_epoch: epochs of the run that were finished at that time.
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
        record_path: JSON file with what is recorded of each run, such as the seconds that it took.
        devices: each has one run at a time.
        check: called with each run and its settings before anything is started, to refuse those
            that do not belong to the table.

    Attributes:
        record: what is recorded of each run.
    """

    def __init__(
        self,
        folder: Path,
        record_path: Path,
        devices: Sequence[str] = (MACHINE,),
        check: Callable[[Run, ExperimentSettings], None] = lambda run, settings: None,
    ):
        self.folder, self.devices, self.check = folder, devices, check
        self.record = Record(record_path)
        self.jobs: list[Job] = []
        self.waiting: deque[Run] = deque()
        self.later: Sequence[Run] = ()
        self.after: Callable[[Run], None] = lambda run: None
        self.begun: dict[str, Run] = {}
        self.work: dict[str, Work] = {}
        self.logged_at = time.monotonic()

    def workdir(self, run: Run) -> Workdir:
        return Workdir(self.folder / run.name)

    def carry_out(
        self,
        runs: Sequence[Run],
        later: Sequence[Run] = (),
        after: Callable[[Run], None] = lambda run: None,
    ) -> None:
        """Trains and evaluates the runs that are not finished, one at a time on each device.

        Args:
            runs: in the order in which they begin.
            later: runs of further calls, which count towards the estimated time.
            after: called with each finished run, including those that were finished before.

        Raises:
            SystemExit: if a run is refused before anything is started, for example because its
                folder holds a run with other settings; or if a program fails or is stopped. The
                others are then stopped, too, and continue next time.
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
                self._log_progress()
                if self.jobs:
                    time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            self._stop()

    def answer(self, run: Run, question: Question) -> dict[str, Any] | None:
        """The report of evaluate.py on the end of a run, or None."""
        return answer(self.workdir(run), question)

    def _check(self, run: Run) -> None:
        """Refuses a run that `check` refuses, or whose folder holds a run with other settings."""
        from and_tf.training.start import check_run_folder, settings_of_run

        workdir = self.workdir(run)
        try:
            settings = train.read_settings([*run.flags, f"--workdir={workdir.path}"])
            self.check(run, settings)
            check_run_folder(workdir, settings_of_run(settings, workdir))
        except UserError as error:
            reason = error.message(train.flags().spell)
            if workdir.flags.is_file():  # a run of another table
                reason += " A table with other options needs another --folder."
            raise SystemExit(reason) from None
        method = settings.method
        epochs = method.plan.total_epochs if method.trains else 0
        self.work[run.name] = Work(epochs, method.views)

    def _begin(self) -> None:
        """Gives each idle device the next waiting run."""
        for device in self.devices:
            if not self.waiting or any(job.device == device for job in self.jobs):
                continue
            run = self.waiting.popleft()
            self.begun[run.name] = run
            self.jobs.append(Job(run, device, self._commands(run), self._epoch(run)))

    def _commands(self, run: Run) -> Iterator[list[str]]:
        """The commands that a run still needs; each has ended before the next is requested."""
        workdir = self.workdir(run)
        of_run = f"--workdir={workdir.path}"
        if not workdir.summary.is_file():
            self._log(f"{self._place(run)}{self._left()}: {run.name}")
            yield ["train.py", *run.flags, of_run]
            if not workdir.summary.is_file():  # if asked to stop, it also ends with status 0
                raise SystemExit(f"{run.name} was stopped: the same command continues.")
        for question in run.questions:
            if self.answer(run, question) is None:
                yield ["evaluate.py", of_run, *question]

    def _proceed(self, job: Job) -> None:
        """Starts a job's next command, after the current one has ended successfully."""
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
        """Removes a job from its device, and adds its time to that of its run."""
        self.jobs.remove(job)
        if job.process is None:  # everything was done before
            return
        before = self.record.known.get(job.run.name, {}).get("seconds", 0.0)
        self.record.keep(job.run.name, seconds=before + time.monotonic() - job.began)

    def _stop(self) -> None:
        """Asks all running programs to end; training writes a checkpoint before it does."""
        for job in self.jobs:
            if job.process is not None and job.process.poll() is None:
                job.process.terminate()
        for job in list(self.jobs):
            if job.process is not None:
                job.process.wait()
            self._end(job)

    def _log(self, line: str) -> None:
        logger.info("%s", line)
        self.logged_at = time.monotonic()

    def _log_progress(self) -> None:
        """Logs a line about the runs in progress, now and then."""
        if self.jobs and time.monotonic() - self.logged_at > SECONDS_BETWEEN_LINES:
            runs = [job.run for job in self.jobs]
            places = [
                f"{run.name} at epoch {self._epoch(run)} of {self.work[run.name].epochs}"
                for run in runs
            ]
            self._log(", ".join(places) + self._left())

    def _place(self, run: Run) -> str:
        """A text such as "run 2 of 5 on GPU 1"."""
        names = list(dict.fromkeys([*self.begun, *(other.name for other in self.waiting)]))
        device = next(job.device for job in self.jobs if job.run is run)
        where = "" if device == MACHINE else f" on GPU {device}"
        return f"run {names.index(run.name) + 1} of {len(names) + len(self.later)}{where}"

    def _left(self) -> str:
        seconds = self.seconds_left()
        return "" if seconds is None else f", about {clock(seconds)} left in all"

    def seconds_left(self) -> float | None:
        """Estimated seconds for all remaining runs; None before any epoch was timed."""
        running = [job.run for job in self.jobs]
        left = [self._progress(run) for run in (*running, *self.waiting, *self.later)]
        ended = [self._progress(run) for run in self.begun.values() if run not in running]
        seconds = seconds_left(left, ended)
        return None if seconds is None else seconds / len(self.devices)

    def _progress(self, run: Run) -> Progress:
        """The progress of a run; if it is running, timed since this job was started."""
        epochs, work = self._epoch(run), self.work[run.name]
        for job in self.jobs:
            if job.run.name == run.name:
                seconds = time.monotonic() - job.began
                return Progress(run.kind, work, epochs, epochs - job.first_epoch, seconds)
        seconds = self.record.known.get(run.name, {}).get("seconds", 0.0)
        return Progress(run.kind, work, epochs, epochs, seconds)

    def _epoch(self, run: Run) -> int:
        """The number of finished epochs of a run."""
        records = self.workdir(run).read_metrics()
        return max((record.get("epoch", 0) for record in records), default=0)
