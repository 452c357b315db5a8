"""Differences between two runs of the same command, apart from timings."""

import json
from pathlib import Path

import numpy as np

from and_tf.runs import checkpoint
from and_tf.runs.restore import load_encoder
from and_tf.runs.workdir import Workdir

TIMINGS = {"images_per_second"}


def differences(one: Path, other: Path) -> list[str]:
    """Describes each difference: checkpoints, rounds, metrics, TensorBoard events, stray files."""
    found = _kept_files(one, other)
    found += _checkpoints(one, other)
    found += [
        f"{name} differs"
        for name in ("run.json", "images.npz")
        if (one / name).read_bytes() != (other / name).read_bytes()
    ]
    if _description(one) != _description(other):
        found.append("export/encoder/assets.extra/encoder.json differs")
    if not all(map(np.array_equal, *(_exported(run) for run in (one, other)))):
        found.append("the exported encoder differs")
    if _metrics(one) != _metrics(other):
        found.append("metrics.jsonl differs")
    if events(one) != events(other):
        found.append("TensorBoard's events differ")
    return found


def _kept_files(one: Path, other: Path) -> list[str]:
    names = [
        {str(path.relative_to(run)) for path in run.rglob("*") if "tfevents" not in path.name}
        for run in (one, other)
    ]
    return [f"{name} is in one run alone" for name in sorted(names[0] ^ names[1])]


def _checkpoints(one: Path, other: Path) -> list[str]:
    found = []
    for path in sorted([*one.glob("checkpoints/*.npz"), *one.glob("rounds/*.npz")]):
        name = path.relative_to(one)
        if not (other / name).is_file():
            continue  # already reported among the files
        if path.name == "previous.npz":
            continue  # after a requested stop it is the state of that step
        (ours, our_facts), (theirs, their_facts) = (
            checkpoint.load(path),
            checkpoint.load(other / name),
        )
        if our_facts != their_facts or ours.keys() != theirs.keys():
            found.append(f"{name}: metadata or names differ")
            continue
        found += [
            f"{name}: {key} differs"
            for key in ours
            if ours[key].dtype != theirs[key].dtype or not np.array_equal(ours[key], theirs[key])
        ]
    return found


def _description(run: Path) -> dict:
    """Metadata of the exported SavedModel, whose bytes, and so its checksum, differ each time."""
    path = run / "export" / "encoder" / "assets.extra" / "encoder.json"
    if not path.is_file():
        return {}  # a small run, or already reported among the files
    return {k: v for k, v in json.loads(path.read_text()).items() if k != "checksum"}


def _exported(run: Path) -> list[np.ndarray]:
    return load_encoder(run / "export" / "encoder.keras").get_weights()


def _metrics(run: Path) -> list[dict]:
    lines = Workdir(run).metrics.read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMINGS} for line in lines]


def events(run: Path) -> list[tuple]:
    """(step, tag, value) of every scalar in all event files, including repeated ones."""
    import tensorflow as tf

    found = []
    for path in Workdir(run).tensorboard.glob("events.out.tfevents.*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag not in TIMINGS:
                    number = float(tf.make_ndarray(value.tensor))
                    found.append((event.step, value.tag, number))
    return sorted(found)
