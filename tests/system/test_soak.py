"""Stops at random moments change nothing; and the comparison would see it if they did."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.report_runs import make_run, save_images

from and_tf.data.manifest import manifest
from and_tf.data.sources.opening import open_source
from and_tf.runs import checkpoint
from and_tf.runs.restore import load_encoder
from benchmarks.soak_compare import differences
from benchmarks.soak_forged import outcome_of
from benchmarks.soak_forger import report_forged
from benchmarks.soak_small import small_encoder

ROOT = pathlib.Path(__file__).parents[2]


def test_a_run_stopped_twice_equals_one_left_alone_and_a_forged_copy_is_survived(tmp_path):
    card = pathlib.Path(ROOT, "configs/smoke.cfg").read_text()
    card += "--train_split=train[:256]\n--eval_split=test[:64]\n"
    (tmp_path / "short.cfg").write_text(card)
    flags = ["--stops=2", "--forged=1", "--small", f"--config={tmp_path / 'short.cfg'}"]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", *flags, f"--folder={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    last = "PASSED: 0 differences from the reference, 0 faults on forged folders."
    assert ended.stdout.splitlines()[-1] == last
    assert "2 stops in" in ended.stdout
    assert "| links | 1 | " in ended.stdout
    places = ("rounds/round_0.npz", "checkpoints/last.npz")
    before, after = (checkpoint.load(tmp_path / "reference" / place)[0] for place in places)
    name = "encoder/fc/kernel"
    assert np.abs(before[name] - after[name]).max() > 0.001  # what is equal has moved


def test_faults_on_forged_folders_are_told_from_refusals(capfd):
    def fail(words):
        raise KeyError(*words)

    def refuse(words):
        os.write(2, f"one.py: {words[0]}\n".encode())
        return 2

    ended = [
        outcome_of("one", main, ["words"])
        for main in (fail, refuse, lambda words: 0, lambda words: 1, lambda words: 2)
    ]
    assert [one["outcome"] for one in ended] == ["fault", "refused", "done", "fault", "fault"]
    assert ended[1]["words"] == "one.py: words" and "KeyError: 'words'" in ended[0]["words"]
    rows = [one | {"number": 0, "kind": "links", "program": "train"} for one in ended]
    assert report_forged(rows) == 3
    assert "| links | 1 | 1, 1 | 3 |" in capfd.readouterr().out


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a finished run holds, made without training."""
    folder = tmp_path_factory.mktemp("soak")
    data = save_images(folder / "images.npz", 12, 2)
    run = make_run(folder / "run", "--rounds=1", data)
    run.write_images(manifest(open_source(data.removeprefix("--data="))))
    arrays, metadata = checkpoint.load(run.checkpoint)
    arrays["bank"] = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    checkpoint.save(run.checkpoint, arrays, metadata)
    description = run.exports / "encoder" / "assets.extra" / "encoder.json"
    description.parent.mkdir(parents=True)
    description.write_text(json.dumps({"layer": "fc", "checksum": "0"}))
    small_encoder("", (8, 8, 3), 4).save(run.exports / "encoder.keras")
    with tf.summary.create_file_writer(str(run.tensorboard)).as_default():
        tf.summary.scalar("loss", 5.0, step=1)
    return run.path


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


def change_export(run):
    encoder = load_encoder(run / "export" / "encoder.keras")
    encoder.set_weights([weight + 1 for weight in encoder.get_weights()])
    encoder.save(run / "export" / "encoder.keras")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: None, None),
        (change_metrics, "metrics.jsonl differs"),
        (repeat_metrics, "metrics.jsonl differs"),
        (change_bank, "checkpoints/last.npz: bank differs"),
        (repeat_events, "TensorBoard's events differ"),
        (change_export, "the exported encoder differs"),
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
