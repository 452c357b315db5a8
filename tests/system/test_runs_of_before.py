"""A run that was begun before the package was moved into folders is read and continued."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from helpers import programs

import and_tf
from and_tf.runs import checkpoint

FOLDER = pathlib.Path(__file__).parents[1] / "runs_before"
STOPPED, STEPS = 10, 16

pytestmark = pytest.mark.usefixtures("no_exports")


@pytest.mark.parametrize("method", ["and", "instance"])
def test_a_run_of_before_is_continued_to_its_end(tmp_path, method):
    run = tmp_path / "run"
    shutil.copytree(FOLDER / method, run)
    old, metadata = checkpoint.load(run / "checkpoints" / "last.npz")
    assert metadata["step"] == STOPPED
    before = (run / "metrics.jsonl").read_text()
    assert programs.train([f"--flagfile={run / 'flags.cfg'}", f"--workdir={run}"]) == 0
    assert (run / "summary.txt").is_file()
    assert (run / "metrics.jsonl").read_text().startswith(before)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [4, 8, 8, 12, 16, 16]  # an epoch, and an evaluation every second one

    arrays, metadata = checkpoint.load(run / "checkpoints" / "last.npz")
    assert metadata["step"] == STEPS
    # Instance discovers no more, and keeps the bank alone; all else has the names of before.
    left_out = {"neighbours", "is_anchor", "entropy", "round"} if method == "instance" else set()
    assert arrays.keys() == old.keys() - left_out
    ends = checkpoint.load(run / "rounds" / "round_1.npz")[0]
    if method == "and":
        np.testing.assert_array_equal(ends["neighbours"], old["neighbours"])  # not found anew
        assert ends["round"] == 1
    encoder = and_tf.load_encoder(run)
    assert encoder.output_shape == (None, 8)


def with_former(run, text):
    """Gives a run and its checkpoint the setting of version 0.4 that no longer exists."""
    with (run / "flags.cfg").open("a") as file:
        file.write(f"--neighbours={text}\n")
    path = run / "checkpoints" / "last.npz"
    arrays, metadata = checkpoint.load(path)
    settings = metadata.get("origin", {}).get("settings", {}) | {"neighbours": text}
    origin = metadata.get("origin", {}) | {"settings": settings}
    checkpoint.save(path, arrays, metadata | {"origin": origin})


def test_a_run_of_version_0_4_goes_on_without_the_setting_that_was_removed(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(FOLDER / "and", run)
    with_former(run, "nearest")
    assert programs.train([f"--flagfile={run / 'flags.cfg'}", f"--workdir={run}"]) == 0
    assert checkpoint.load(run / "checkpoints" / "last.npz")[1]["step"] == STEPS
    assert programs.evaluate([f"--workdir={run}"]) == 0
    assert programs.report([f"--workdir={run}"]) == 0


def test_a_run_with_a_removed_setting_gives_its_encoder_and_is_not_continued(tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(FOLDER / "and", run)
    with_former(run, "mutual")
    assert programs.report([f"--workdir={run}"]) == 2
    assert "flags.cfg has --neighbours=mutual, which was removed" in capsys.readouterr().err
    assert programs.evaluate([f"--workdir={run}"]) == 0
    assert programs.export([f"--workdir={run}", "--format=keras"]) == 0
    shutil.copy(FOLDER / "and" / "flags.cfg", run / "flags.cfg")  # as if that were all
    assert programs.train([f"--flagfile={run / 'flags.cfg'}", f"--workdir={run}"]) == 2
    assert "another run (--neighbours=mutual, here nearest)" in capsys.readouterr().err


def test_its_encoder_is_read_where_it_stopped():
    encoder = and_tf.load_encoder(FOLDER / "and")
    arrays, _ = checkpoint.load(FOLDER / "and" / "checkpoints" / "last.npz")
    np.testing.assert_array_equal(
        encoder.get_layer("fc").kernel.numpy(), arrays["encoder/fc/kernel"]
    )
