"""Kills a run again and again and compares what comes out with a run that was left alone.

python -m benchmarks.soak --kills=50 [--config=configs/digits.cfg] [--folder=EMPTY]

Each kill is a SIGKILL at a random moment of a phase drawn at random: training, discovery,
evaluation, checkpoint or export; the same command then continues. When a run has come to its end
although it was killed, the next one begins. Weights, bank, neighbours, optimiser, metrics, kept
rounds and TensorBoard's events must equal those of the reference bit for bit, timings excepted.
Exit status 1 on any difference; the last line is the verdict.
"""

import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.soak_compare import differences
from benchmarks.soak_run import PHASES

ROOT = Path(__file__).parents[1]
# A life ends in one of the first so many occurrences of its phase, at most so many seconds into it.
OCCURRENCES = {"training": 20, "discovery": 1, "evaluation": 2, "checkpoint": 20, "export": 1}
LATEST = {
    "start": 8.0,
    "training": 0.5,
    "discovery": 0.1,
    "evaluation": 1.0,
    "checkpoint": 0.02,
    "export": 4.0,
}
PATIENCE = 10.0  # seconds of training after which it ends without its phase


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--config", default="configs/digits.cfg", help="experiment to run")
    parser.add_argument("--folder", type=Path, help="where the runs go; by default a temporary one")
    parser.add_argument("--checkpoint_steps", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        return soak(options, options.folder or Path(temporary))


def soak(options: argparse.Namespace, folder: Path) -> int:
    """Runs the reference, and killed runs until there were enough kills: the exit status."""
    flags = [f"--flagfile={options.config}", "--deterministic"]
    flags.append(f"--checkpoint_steps={options.checkpoint_steps}")
    print(f"Reference: python train.py {' '.join(flags)}", flush=True)
    reference = Life([*flags, f"--workdir={folder / 'reference'}"])
    reference.live()
    reference.check_ended_well()
    moments = random.Random(options.seed)
    kills, lost, found = collections.Counter(), [], []
    while kills.total() < options.kills:
        run = folder / f"killed_{len(found)}"
        _kill_until_finished([*flags, f"--workdir={run}"], options.kills, moments, kills, lost)
        found.append(differences(folder / "reference", run))
        print(f"{run.name}: {len(found[-1])} differences after {kills.total()} kills", flush=True)
        print("".join(f"  {words}\n" for words in found[-1]), end="", flush=True)
    return report(kills, lost, found)


def _kill_until_finished(flags, wanted, moments, kills, lost) -> None:
    """Starts a run over and over, until it ends before it is killed; counts kills, steps lost."""
    killed_at = None
    while True:
        life = Life(flags)
        was_killed = life.live(moments if kills.total() < wanted else None)
        if killed_at is not None and (life.continued_after is not None or life.step):
            lost.append(killed_at - (life.continued_after or 0))
        if not was_killed:
            life.check_ended_well()
            return
        kills[life.phase] += 1
        if life.continued_after is not None or life.step:  # else it died before it went on
            killed_at = life.step


class Life:
    """One process of train.py, from its start to its end."""

    def __init__(self, flags: list[str]):
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak_run", str(writing), *flags],
            cwd=ROOT, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        os.close(writing)
        self.events = os.fdopen(reading)
        self.phase, self.step, self.was_killed = "start", 0, False
        self.continued_after: int | None = None

    def live(self, moments: random.Random | None = None) -> bool:
        """Waits for the end, or kills it at a random moment; whether it was killed."""
        if moments is not None:
            self._kill_at(moments)
        for line in self.events:  # the rest, or what it still said
            self._hear(line)
        self.errors = self.process.communicate()[1]
        if self.process.returncode < 0 and not self.was_killed:
            raise SystemExit(f"FAILED: train.py died of signal {-self.process.returncode}.")
        return self.process.returncode == -signal.SIGKILL

    def _kill_at(self, moments: random.Random) -> None:
        """Kills the process in a phase drawn at random, if it comes before the end."""
        phase = moments.choice(("start", *PHASES))
        if phase == "start":
            time.sleep(moments.uniform(0, LATEST[phase]))
            self.was_killed = True
            self.process.kill()
            return
        left = moments.randint(1, OCCURRENCES[phase])
        began = None
        for line in self.events:
            self._hear(line)
            began = began or (time.monotonic() if self.phase == "training" else None)
            if line.strip() == "export" and moments.random() < 0.5:
                phase, left = "export", 1  # met at the end alone: not to be missed
            left -= line.strip() == phase
            if left == 0:
                time.sleep(moments.uniform(0, LATEST[phase]))
                break
            if began and self.phase == "training" and time.monotonic() - began > PATIENCE:
                break
        else:
            return
        self.was_killed = True
        self.process.kill()

    def _hear(self, line: str) -> None:
        word, _, number = line.strip().partition(" ")
        if word == "step":
            self.step = int(number)
        elif word == "continues":
            self.step = self.continued_after = int(number)
        else:
            self.phase = word

    def check_ended_well(self) -> None:
        if self.process.returncode:
            raise SystemExit(f"FAILED: train.py ended with an error: {self.errors}")


def report(kills: collections.Counter, lost: list[int], found: list[list[str]]) -> int:
    """Prints the table and the verdict."""
    print("\n| killed during | kills |\n|---|---|")
    for phase in ("start", *PHASES):
        print(f"| {phase} | {kills[phase]} |")
    count = sum(map(len, found))
    print(
        f"\n{kills.total()} kills in {len(found)} runs, {len(lost)} resumes from a checkpoint, "
        f"steps lost: {sum(lost)} in all, at most {max(lost, default=0)} at once."
    )
    print(f"{'FAILED' if count else 'PASSED'}: {count} differences from the reference.")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
