"""The benchmarks of a whole run, on few images: what their tables hold, not how fast it is."""

import argparse
import sys

import pytest
from helpers.small_runs import make_runs_small

from benchmarks import fit, memory
from benchmarks.timing import peak_mb

FLAGS = "--data=digits --encoder=resnet_small --image_size=16 --train_split=train[:20]"
FLAGS += " --eval_split=test[:20] --batch_size=8 --embedding_dim=8 --views=2"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make_runs_small(monkeypatch)


def test_each_case_is_timed_in_each_epoch(tmp_path):
    options = argparse.Namespace(
        flags=FLAGS, epoch=0, epochs=2, executions="2", input=False, repeats=2
    )
    rows, seconds = fit.measure(options, tmp_path / "run")
    names = ["bare", "fit, 2"]
    assert [row["case"] for row in rows] == names == list(seconds["epochs"])
    assert all(len(found) == 4 for found in seconds["epochs"].values())
    assert all(row["ms a step"] > 0 for row in rows)
    assert not seconds["between"]["bare"] and len(seconds["between"]["fit, 2"]) == 2


@pytest.mark.parametrize("program", [fit, memory])
def test_wrong_flags_are_named_in_a_line(program, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--flags=--data=digits --encoder=vgg"])
    with pytest.raises(SystemExit, match="--encoder=vgg"):
        program.main()


def test_each_phase_has_its_peak(tmp_path):
    try:
        peak_mb(lambda: None)
    except OSError:
        pytest.skip("the kernel does not let a process set back its peak")
    rows = memory.measure(FLAGS.split(), 2, tmp_path / "run")
    phases = ["2 steps", "discovery", "evaluation", "checkpoint", "export"]
    assert [row["phase"] for row in rows][-5:] == phases
    # The kernel counts both in batches of pages.
    assert all(1.05 * row["peak, MB"] > row["after, MB"] > 50 for row in rows)
