"""Forged copies of a run's folder, on which whole programs are tried; see `benchmarks.soak`.

python -m benchmarks.soak_forged --run=RUN --scratch=FOLDER --first=0 --count=7 -- FLAGS

Copies the folder of a run that was stopped, forges each copy in one of the ways of `FORGERIES`, and
has report.py, evaluate.py and train.py, with FLAGS and for one step, run on it. Each is to end with
status 0 or one line, and what the planted links lead to stays as it was. Prints a line of JSON for
each program on each copy.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from and_tf.cli import evaluate, report, train
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks import RunLog
from benchmarks.forging import LINKS, RESULT, drawn, forged, forged_arrays, put, write_npz
from benchmarks.soak_small import make_programs_small

Forgery = Callable[[Workdir, Path, int], None]  # run, a folder outside of it, seed

PLANTED = (  # where programs write, now or in earlier versions
    "lock", "flags.cfg", "flags.cfg.partial", "run.json", "run.json.partial", "metrics.jsonl",
    "metrics.jsonl.partial", "images.npz.partial", "report.html", "report.html.partial",
    "summary.txt", "summary.txt.partial", "checkpoints/last.npz", "checkpoints/last.npz.partial",
    "checkpoints/previous.npz", "rounds/round_0.npz", "evaluations/knn_fc.json",
    "evaluations/knn_fc.json.partial", "evaluations", "tensorboard", "tensorboard/report", "export",
    ".report.html.abcdefgh.partial", ".flags.cfg.abcdefgh.partial",
)  # fmt: skip


def plant_links(run: Workdir, outside: Path, seed: int) -> None:
    """Puts links in place of files and folders, including those that are written first."""
    chosen = st.dictionaries(
        st.sampled_from(PLANTED), st.sampled_from(["its content", *LINKS]), min_size=2, max_size=6
    )
    run.evaluations.mkdir(exist_ok=True)
    for name, kind in sorted(drawn(chosen, seed).items()):
        place = run.path / name
        if place.parent.is_symlink() or not place.parent.is_dir():
            continue
        if kind == "its content" and place.exists():
            target = outside / name.replace("/", "-")
            shutil.move(place, target)
            place.symlink_to(target)
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        put(place, "link to a file" if kind == "its content" else kind, outside)


def forge_run(run: Workdir, outside: Path, seed: int) -> None:
    """Forges run.json."""
    run.metadata.write_bytes(drawn(forged(json.loads(run.metadata.read_text())), seed))


def forge_metrics(run: Workdir, outside: Path, seed: int) -> None:
    """Forges one line of metrics.jsonl."""
    lines = run.metrics.read_bytes().splitlines() or [b'{"step": 1}']
    place = seed % len(lines)
    lines[place] = drawn(forged(json.loads(lines[place])), seed)
    run.metrics.write_bytes(b"\n".join(lines) + b"\n")


def forge_metadata(run: Workdir, outside: Path, seed: int) -> None:
    """Forges the metadata of checkpoints, with valid arrays and checksums."""
    forge_checkpoints(_checkpoints(run), seed, arrays=False)


def forge_arrays(run: Workdir, outside: Path, seed: int) -> None:
    """Forges an array of checkpoints, with valid metadata and checksums."""
    forge_checkpoints(_checkpoints(run), seed, arrays=True)


def forge_rounds(run: Workdir, outside: Path, seed: int) -> None:
    """Forges the end of a round, and adds one of a round that the run does not have."""
    paths = [run.round_file(number) for number in run.ended_rounds()]
    if paths:
        shutil.copy(paths[0], run.round_file(99))
    forge_checkpoints(paths, seed, arrays=seed % 2 == 0)


def forge_results(run: Workdir, outside: Path, seed: int) -> None:
    """Forges results of evaluate.py for two classifiers."""
    run.evaluations.mkdir(exist_ok=True)
    for number, name in enumerate(("knn_fc.json", "linear_fc.json")):
        (run.evaluations / name).write_bytes(drawn(forged(RESULT), seed + number))


def forge_checkpoints(paths: Sequence[Path], seed: int, arrays: bool) -> None:
    """Forges the metadata or an array of one checkpoint, or of two in the same way."""
    for path in paths[: 1 + seed % 2]:
        found, metadata = checkpoint.load(path)
        if arrays:
            found = drawn(forged_arrays(found), seed)
        text = json.dumps(metadata).encode() if arrays else drawn(forged(metadata), seed)
        write_npz(path, text, found)


def _checkpoints(run: Workdir) -> list[Path]:
    paths = [run.checkpoint, run.previous_checkpoint, run.best_checkpoint]
    return [path for path in paths if path.is_file()]


FORGERIES: dict[str, Forgery] = {
    "links": plant_links,
    "metadata of checkpoints": forge_metadata,
    "run.json": forge_run,
    "arrays of checkpoints": forge_arrays,
    "metrics.jsonl": forge_metrics,
    "ends of rounds": forge_rounds,
    "results of evaluate.py": forge_results,
}
PROGRAMS = ("report", "evaluate", "train")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--first", type=int, required=True, help="number of the first copy")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("flags", nargs="*", help="of train.py")
    options = parser.parse_args()
    if options.small:
        make_programs_small()
    stop_after_a_step()
    for number in range(options.first, options.first + options.count):
        for outcome in try_programs(options.run, options.scratch, number, options.flags):
            print(json.dumps(outcome), flush=True)
    return 0


def try_programs(run: Path, scratch: Path, number: int, flags: Sequence[str]) -> Iterator[dict]:
    """Outcomes of the programs on a forged copy: `done`, `refused` or `fault`.

    Args:
        run: folder of the run, which is not changed.
        scratch: folder for the copy, and for the targets of its links.
        number: of the copy, which determines the forgery.
        flags: of train.py.
    """
    kind = list(FORGERIES)[number % len(FORGERIES)]
    outside, copy = scratch / "outside", Workdir(scratch / "run")
    for folder in (outside, copy.path):
        shutil.rmtree(folder, ignore_errors=True)
    outside.mkdir(parents=True)
    (outside / "precious").write_text("precious")
    shutil.copytree(run, copy.path, symlinks=True)
    FORGERIES[kind](copy, outside, number)
    before = contents(outside)
    place = f"--workdir={copy.path}"
    words = {
        "report": (report.main, [place, "--images=100", "--queries=50"]),
        "evaluate": (evaluate.main, [place]),
        "train": (train.main, [*flags, place]),
    }
    for name in PROGRAMS:
        outcome = outcome_of(name, *words[name])
        if contents(outside) != before:
            outcome |= {"outcome": "fault", "words": "a file outside of the run was changed"}
            before = contents(outside)
        yield {"number": number, "kind": kind, "program": name} | outcome


def outcome_of(name: str, main: Callable[[list[str]], int], words: list[str]) -> dict[str, str]:
    """How a program ended."""
    with tempfile.TemporaryFile("w+") as said:
        with all_output_to(said):
            try:
                status = main(words)
                crash = ""
            except BaseException:  # also SystemExit
                status, crash = -1, traceback.format_exc()
        said.seek(0)
        lines = (said.read() + crash).rstrip().splitlines() or [""]
    if status == 0 and not any(line.startswith("Traceback") for line in lines):
        return {"outcome": "done", "words": ""}
    if status == 2 and lines[-1].startswith(f"{name}.py: "):
        return {"outcome": "refused", "words": lines[-1]}
    return {"outcome": "fault", "words": f"status {status}: " + "\n".join(lines[-40:])}


@contextlib.contextmanager
def all_output_to(file: Any) -> Iterator[None]:
    """A context that redirects all output of this process, including TensorFlow's native output."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    try:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        yield
    finally:
        for descriptor, former in zip((1, 2), kept, strict=True):
            (sys.stdout, sys.stderr)[descriptor - 1].flush()
            os.dup2(former, descriptor)
            os.close(former)


def contents(folder: Path) -> dict[str, bytes]:
    """Names and bytes of all files in and below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def stop_after_a_step() -> None:
    """Requests a stop of train.py after each step, so that it stops after the first."""
    after_batch = RunLog.on_train_batch_end

    def on_train_batch_end(self: RunLog, batch: int, logs: Any = None) -> None:
        after_batch(self, batch, logs)
        signal.raise_signal(signal.SIGUSR1)

    RunLog.on_train_batch_end = on_train_batch_end  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
