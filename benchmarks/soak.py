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
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.soak_compare import differences
from benchmarks.soak_run import PHASES

ROOT = Path(__file__).parents[1]
# A life ends in one of the first so many occurrences of its phase, at most so many seconds into it.
OCCURRENCES = {"training": 20, "discovery": 1, "evaluation": 2, "checkpoint": 20, "export": 2}
LATEST = {"training": 0.5, "discovery": 0.1, "evaluation": 1.0, "checkpoint": 0.02, "export": 2.0}


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
        if kills.total() < wanted:
            phase = moments.choice(PHASES)
            was_killed = life.live(
                phase,
                moments.randint(1, OCCURRENCES[phase]),
                moments.uniform(0, LATEST[phase]),
            )
        else:
            was_killed = life.live()
        if killed_at is not None and life.continued_after is not None:
            lost.append(killed_at - life.continued_after)
        if not was_killed:
            life.check_ended_well()
            return
        kills[life.phase] += 1
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
        self.phase, self.step = "start", 0
        self.continued_after: int | None = None

    def live(self, phase: str = "", occurrence: int = 0, seconds: float = 0) -> bool:
        """Waits for the end, or kills it a while after a phase began; whether it was killed."""
        met = 0
        for line in self.events:
            self._hear(line)
            met += line.strip() == phase
            if met == occurrence and phase:
                time.sleep(seconds)
                self.process.kill()
                break
        for line in self.events:  # what it still said
            self._hear(line)
        self.errors = self.process.communicate()[1]
        return self.process.returncode < 0

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
