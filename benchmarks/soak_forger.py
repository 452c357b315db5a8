"""The part of `benchmarks.soak` that runs programs on forged folders, and counts the outcomes."""

import collections
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TO_TRY = 600  # seconds for the programs on one forged copy, after which they count as hanging


class Forger:
    """Runs the programs on forged copies of a run's folder.

    Args:
        scratch: folder for the copies.
        words: further arguments of `benchmarks.soak_forged`, with the flags of train.py.

    Attributes:
        tried: number of copies.
        outcomes: of each program on each copy, as `benchmarks.soak_forged` prints them.
    """

    def __init__(self, scratch: Path, words: list[str]):
        self.scratch, self.words = scratch, words
        self.tried = 0
        self.outcomes: list[dict] = []

    def forge(self, run: Path, count: int) -> None:
        """Forges `count` copies of a run that nothing writes to, if it has saved a checkpoint."""
        if count < 1 or not (run / "checkpoints" / "last.npz").is_file():
            return
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.soak_forged", f"--run={run}"),
                *(f"--scratch={self.scratch}", f"--first={self.tried}", f"--count={count}"),
                *self.words,
            ],
            cwd=ROOT, capture_output=True, text=True, timeout=TO_TRY * count,
        )  # fmt: skip
        if ended.returncode:
            raise SystemExit(f"FAILED: the forger ended with {ended.returncode}: {ended.stderr}")
        outcomes = [json.loads(line) for line in ended.stdout.splitlines()]
        for outcome in outcomes:
            if outcome["outcome"] == "fault":
                print("forged copy {number}, {kind}, {program}: {words}".format(**outcome))
        self.tried += count
        self.outcomes += outcomes


def report_forged(outcomes: list[dict]) -> int:
    """Prints how the programs ended on forged copies; returns the number of faults."""
    ended = collections.Counter((o["kind"], o["program"], o["outcome"]) for o in outcomes)
    programs = list(dict.fromkeys(o["program"] for o in outcomes))
    if outcomes:
        heads = " | ".join(f"{program}: done, refused" for program in programs)
        print(f"\n| forged | copies | {heads} | faults |\n|---|---{'|---' * len(programs)}|---|")
    for kind in dict.fromkeys(o["kind"] for o in outcomes):
        copies = len({o["number"] for o in outcomes if o["kind"] == kind})
        cells = [
            f"{ended[kind, program, 'done']}, {ended[kind, program, 'refused']}"
            for program in programs
        ]
        faults = sum(ended[kind, program, "fault"] for program in programs)
        print(f"| {kind} | {copies} | {' | '.join(cells)} | {faults} |")
    return sum(o["outcome"] == "fault" for o in outcomes)
