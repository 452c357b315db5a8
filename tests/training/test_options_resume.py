"""A run with all options on the bank is continued exactly, also in the middle of an epoch."""

import json

import keras
import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import make_runs_small
from helpers.stops import stop_from

from and_tf.runs import checkpoint

pytestmark = pytest.mark.system

FLAGS = [
    "--data=digits", "--image_size=16", "--embedding_dim=8", "--train_split=train[:96]",
    "--eval_split=test[:20]", "--rounds=1", "--epochs_per_round=2", "--batch_size=32",
    "--eval_every=0", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0",
    "--views=2", "--group_weight=0.5", "--entropy_weight=0.2",
    "--neighbourhood_size=3", "--augment_on=device", "--jit_compile=on", "--steps_per_execution=2",
]  # fmt: skip
STOP, STEPS = 10, 12  # 3 steps an epoch: in the last of 4 epochs, in which entropy counts


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make_runs_small(monkeypatch)
    yield
    keras.config.set_dtype_policy("float32")


def last(folder):
    return checkpoint.load(folder / "checkpoints" / "last.npz")


def test_a_stopped_run_continues_as_if_never_stopped(tmp_path):
    assert programs.train([*FLAGS, f"--workdir={tmp_path / 'whole'}"]) == 0
    flags = [*FLAGS, f"--workdir={tmp_path / 'cut'}"]
    with stop_from(STOP - 1):
        assert programs.train(flags) == 0
    arrays, metadata = last(tmp_path / "cut")
    assert metadata["step"] % 3 and metadata["step"] < STEPS
    assert {"group_head/kernel", "group_head/bias"} <= arrays.keys()
    assert programs.train(flags) == 0
    (ours, metadata), (theirs, _) = last(tmp_path / "cut"), last(tmp_path / "whole")
    assert metadata["step"] == STEPS and ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, atol=1e-5, err_msg=name)
    lines = [(tmp_path / run / "metrics.jsonl").read_text() for run in ("cut", "whole")]
    cut, whole = ([json.loads(line) for line in text.splitlines()] for text in lines)
    losses, expected = ([r["loss"] for r in records if "loss" in r] for records in (cut, whole))
    assert len(expected) == 4 and losses == pytest.approx(expected, rel=1e-5)
    assert programs.train([*flags, "--entropy_weight=0.1"]) == 2  # another result


def test_an_option_that_needs_a_second_view_is_refused_at_once(tmp_path, capsys):
    flags = ["--group_weight=1", f"--workdir={tmp_path / 'run'}"]
    assert programs.train(["--data=digits", *flags]) == 2
    said = capsys.readouterr().err
    assert "--group_weight=1.0 compares two views of an image" in said and "--views=2" in said
    assert not (tmp_path / "run").exists()
