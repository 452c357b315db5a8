"""Stops at random moments change nothing; and the comparison would see it if they did."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import programs

from and_tf.runs import checkpoint
from benchmarks.soak_compare import differences

ROOT = pathlib.Path(__file__).parents[2]


def test_a_run_stopped_twice_equals_one_left_alone(tmp_path):
    card = pathlib.Path(ROOT, "configs/smoke.cfg").read_text() + "--train_split=train[:256]\n"
    (tmp_path / "short.cfg").write_text(card)
    command = ["-m", "benchmarks.soak", "--stops=2", f"--config={tmp_path / 'short.cfg'}"]
    ended = subprocess.run(
        [sys.executable, *command, f"--folder={tmp_path}"], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("PASSED: 0 differences")
    assert "2 stops in" in ended.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soak") / "run"
    flags = ["--flagfile=configs/smoke.cfg", "--train_split=train[:128]", "--epochs_per_round=1"]
    assert programs.train([*flags, f"--workdir={folder}"]) == 0
    return folder


def test_a_run_of_another_seed_differs(run, tmp_path):
    flags = ["--train_split=train[:128]", "--epochs_per_round=1", f"--workdir={tmp_path / 'run'}"]
    assert programs.train(["--flagfile=configs/smoke.cfg", *flags, "--seed=1"]) == 0
    one, other = (checkpoint.load(r / "checkpoints/last.npz")[0] for r in (run, tmp_path / "run"))
    assert np.abs(one["bank"] - other["bank"]).max() > 0.01


def change_metrics(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    lines[0] = json.dumps(record | {"loss": np.nextafter(record["loss"], 9)})
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def repeat_metrics(run):
    path = run / "metrics.jsonl"
    path.write_text(path.read_text() * 2)


def change_bank(run):
    arrays, metadata = checkpoint.load(run / "checkpoints" / "last.npz")
    arrays["bank"][3, 5] = np.nextafter(arrays["bank"][3, 5], np.float32(9))
    checkpoint.save(run / "checkpoints" / "last.npz", arrays, metadata)


def repeat_events(run):
    events = next((run / "tensorboard").glob("events*"))
    shutil.copy(events, events.with_name(events.name + ".1"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: None, None),
        (change_metrics, "metrics.jsonl differs"),
        (repeat_metrics, "metrics.jsonl differs"),
        (change_bank, "checkpoints/last.npz: bank differs"),
        (repeat_events, "TensorBoard's events differ"),
        (lambda run: (run / "rounds" / "round_1.npz").unlink(), "rounds/round_1.npz is in one"),
        (lambda run: (run / "flags.cfg.partial").touch(), "flags.cfg.partial is in one"),
    ],
)
def test_the_comparison_sees_every_kind_of_difference(run, tmp_path, change, words):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    change(other)
    found = differences(run, other)
    assert len(found) == (words is not None) and all(line.startswith(words) for line in found)
