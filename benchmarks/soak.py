"""Stops a run again and again and compares what comes out with a run that was left alone.

python -m benchmarks.soak --stops=50 [--forged=100] [--config=configs/digits.cfg] [--folder=EMPTY]

Each stop comes at a random moment of a phase drawn at random: training, discovery, evaluation,
checkpoint or export; the same command then continues. Half of them are kills (SIGKILL), the others
what asks to stop: Ctrl-C, SIGTERM, SIGHUP and SIGUSR1. They go to the whole process group of
`train.py 2>&1 | tee` or `train.py 2>&1 | head -3`. What is asked to stop must end with status 0 and
lose no step, unless it had not come to one. When a run has come to its end although it was
stopped, the next one begins. Weights, bank, neighbours, optimiser, metrics, kept rounds and
TensorBoard's events must equal those of the reference bit for bit, timings excepted.

Between the stops copies of the run's folder are forged (`benchmarks.soak_forged`), and report.py,
evaluate.py and train.py run on them: each must end with status 0 or one line, and write nothing
outside of the folder. Exit status 1 on any difference or fault; the last line is the verdict.
"""

import argparse
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.soak_compare import differences
from benchmarks.soak_forger import Forger, report_forged
from benchmarks.soak_run import PHASES

ROOT = Path(__file__).parents[1]
# A process is stopped in one of the first OCCURRENCES of the chosen phase, up to LATEST seconds
# after the phase begins.
OCCURRENCES = {"training": 20, "discovery": 1, "evaluation": 2, "checkpoint": 20, "export": 1}
LATEST = {
    "start": 8.0,
    "training": 0.5,
    "discovery": 0.1,
    "evaluation": 1.0,
    "checkpoint": 0.02,
    "export": 4.0,
}
ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
READERS = (["tee"], ["head", "-3"])  # of train.py's output; `head` exits before its end
TO_STOP = 120  # seconds
PATIENCE = 10.0  # seconds of training after which it is stopped even if its phase has not come


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stops", type=int, default=50)
    parser.add_argument("--config", default="configs/digits.cfg", help="experiment to run")
    parser.add_argument("--folder", type=Path, help="where the runs go; by default a temporary one")
    parser.add_argument("--checkpoint_steps", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and kinds of stops")
    parser.add_argument("--forged", type=int, default=100, help="copies to forge between the stops")
    parser.add_argument("--small", action="store_true", help="a tiny network: for tests")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        return soak(options, options.folder or Path(temporary))


def soak(options: argparse.Namespace, folder: Path) -> int:
    """Runs the reference, and runs that are stopped, until there are enough stops: the status."""
    flags = [f"--flagfile={options.config}", "--deterministic"]
    flags.append(f"--checkpoint_steps={options.checkpoint_steps}")
    small = ["--small"] if options.small else []
    print(f"Reference: python train.py {' '.join(flags)}", flush=True)
    reference = Life([*small, *flags, f"--workdir={folder / 'reference'}"], ["tee"])
    reference.live()
    reference.check_ended_well()
    moments = random.Random(options.seed)
    stops, lost, found = collections.Counter(), [], []
    forger = Forger(folder / "forged", [*small, "--", *flags])
    per_stop = options.forged / options.stops
    while stops.total() < options.stops:
        run = folder / f"stopped_{len(found)}"
        of_run = [*small, *flags, f"--workdir={run}"]

        def forge(run: Path = run) -> None:
            forger.forge(run, int(stops.total() * per_stop) - forger.tried)

        _stop_until_finished(of_run, options.stops, moments, stops, lost, forge)
        found.append(differences(folder / "reference", run))
        print(f"{run.name}: {len(found[-1])} differences after {stops.total()} stops", flush=True)
        print("".join(f"  {words}\n" for words in found[-1]), end="", flush=True)
    forger.forge(run, options.forged - forger.tried)
    return report(stops, lost, found, forger.outcomes)


def _stop_until_finished(flags, wanted, moments, stops, lost, forge) -> None:
    """Starts a run repeatedly until it ends without being stopped; counts stops and lost steps.

    After each stop `forge` is called, while nothing writes to the run.
    """
    stopped_at, loses = None, True
    while True:
        life = Life(flags, moments.choice(READERS))
        was_stopped = life.live(moments if stops.total() < wanted else None)
        if stopped_at is not None and life.has_trained:
            lost.append(stopped_at - (life.continued_after or 0))
            if lost[-1] and not loses:
                raise SystemExit(f"FAILED: {lost[-1]} steps were lost by asking to stop.")
        if not was_stopped:
            life.check_ended_well()
            return
        stops[life.stopped_in, life.stop.name] += 1
        if life.has_trained:  # else it ended before training continued
            stopped_at, loses = life.step, life.stop == signal.SIGKILL
        forge()


class Life:
    """One process of train.py and the reader of its output, from start to end.

    Args:
        flags: of train.py.
        reader: the command that reads its output.
    """

    def __init__(self, flags: list[str], reader: list[str]):
        telling, told = os.pipe()
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115  (as long as this object)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak_run", str(told), *flags], cwd=ROOT,
            pass_fds=[told], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
        )  # fmt: skip
        os.close(told)
        self.reader = subprocess.Popen(
            reader, stdin=self.process.stdout, stdout=self.said, process_group=self.process.pid
        )
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.events = os.fdopen(telling)
        self.phase, self.step, self.has_stepped = "start", 0, False
        self.stop: signal.Signals | None = None
        self.continued_after: int | None = None

    @property
    def has_trained(self) -> bool:
        """Whether it has restored a checkpoint, or taken a first step."""
        return self.continued_after is not None or self.step > 0

    def live(self, moments: random.Random | None = None) -> bool:
        """Waits for the end, or stops it at a random moment; returns whether it was stopped."""
        if moments is not None:
            self._stop_at(moments)
        asked = time.monotonic()
        for line in self.events:  # the remaining events
            self._hear(line)
        status = self.process.wait()
        self.reader.wait()
        if self.stop is None or (status == 0 and self.phase == "end" and self.is_finished()):
            return False
        if self.stop == signal.SIGKILL:
            return True
        took = time.monotonic() - asked
        if status != 0 and (self.has_stepped or status not in (128 + self.stop, -self.stop)):
            raise SystemExit(f"FAILED: {self.stop.name} ended it with {status}: {self.errors()}")
        if took > TO_STOP:
            raise SystemExit(f"FAILED: {self.stop.name} ended it after {took:.0f} seconds.")
        return True

    def is_finished(self) -> bool:
        """Whether the run is finished."""
        folder = next(word for word in self.process.args if word.startswith("--workdir="))
        return Path(folder.partition("=")[2], "summary.txt").is_file()

    def _stop(self, moments: random.Random) -> None:
        self.stopped_in = self.phase
        self.stop = moments.choice((*ASKS, *[signal.SIGKILL] * len(ASKS)))
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.killpg(self.process.pid, self.stop)

    def _stop_at(self, moments: random.Random) -> None:
        """Stops the process in a randomly chosen phase, if that comes before the end."""
        phase = moments.choice(("start", *PHASES))
        if phase == "start":
            time.sleep(moments.uniform(0, LATEST[phase]))
            self._stop(moments)
            return
        left = moments.randint(1, OCCURRENCES[phase])
        began = None
        for line in self.events:
            self._hear(line)
            began = began or (time.monotonic() if self.phase == "training" else None)
            if line.strip() == "export" and moments.random() < 0.5:
                phase, left = "export", 1  # comes only at the end, so is chosen more often
            left -= line.strip() == phase
            if left == 0:
                time.sleep(moments.uniform(0, LATEST[phase]))
                break
            if began and self.phase == "training" and time.monotonic() - began > PATIENCE:
                break
        else:
            return
        self._stop(moments)

    def _hear(self, line: str) -> None:
        word, _, number = line.strip().partition(" ")
        if word == "step":
            self.step, self.has_stepped = int(number), True
        elif word == "continues":
            self.step = self.continued_after = int(number)
        else:
            self.phase = word

    def errors(self) -> str:
        """Its output, as far as the reader has read it."""
        self.said.seek(0)
        return self.said.read()

    def check_ended_well(self) -> None:
        if self.process.returncode:
            status = self.process.returncode
            raise SystemExit(f"FAILED: train.py ended with status {status}: {self.errors()}")


def report(
    stops: collections.Counter, lost: list[int], found: list[list[str]], outcomes: list[dict]
) -> int:
    """Prints the tables and the verdict."""
    kinds = ["SIGKILL", *(number.name for number in ASKS)]
    print(f"\n| stopped during | {' | '.join(kinds)} |\n|---{'|---' * len(kinds)}|")
    for phase in ("start", *PHASES):
        print(f"| {phase} | {' | '.join(str(stops[phase, kind]) for kind in kinds)} |")
    count = sum(map(len, found))
    faults = report_forged(outcomes)
    print(
        f"\n{stops.total()} stops in {len(found)} runs, {len(lost)} resumes from a checkpoint, "
        f"steps lost: {sum(lost)} in all, at most {max(lost, default=0)} at once."
    )
    print(
        f"{'FAILED' if count + faults else 'PASSED'}: {count} differences from the reference, "
        f"{faults} faults on forged folders."
    )
    return int(count + faults > 0)


if __name__ == "__main__":
    sys.exit(main())
