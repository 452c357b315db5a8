"""Whether the neighbours of a run may have helped: only what was measured is claimed."""

import types
from pathlib import Path

import numpy as np
import pytest

from and_tf.methods import METHODS
from and_tf.methods.rounds import RoundPlan
from and_tf.report.record import Record
from and_tf.report.spread import Spread
from and_tf.report.verdict.control import Control
from and_tf.report.verdict.evidence import Evidence
from and_tf.report.verdict.measured_gains import GAINS, MeasuredGain
from and_tf.report.verdict.neighbours import describe_neighbours

WIDE = Spread(images=1000, dim=128, uniformity=-3.2, effective_rank=40)
LABELS = np.arange(2_000) % 10
ROOT = Path(__file__).parents[3]
COMMAND = "python train.py --flagfile=run/flags.cfg"


def record(method="and", evaluations=(), **logs):
    """A finished run of two rounds of two epochs; `logs` of the epochs of the last round."""
    settings = types.SimpleNamespace(method=METHODS[method](plan=RoundPlan(1, 2)))
    logs = {"anchors": 0 if method == "instance" else 50} | logs
    epochs = [{"epoch": e, "round": int(e > 2), "loss": 5.0} for e in (1, 2, 3, 4)]
    epochs = [epoch | logs if epoch["round"] else epoch for epoch in epochs]
    measured = [{"epoch": 4, "round": 1, **each} for each in evaluations]
    return Record(settings, {}, epochs, measured, [], [])


def described(run, labels=LABELS, **others):
    """The sentences on a run with these labels of held-out images."""
    return describe_neighbours(Evidence(run, WIDE, labels=labels, **others))


def text(*arguments, **others):
    return " ".join(described(*arguments, **others))


@pytest.mark.parametrize("consistency", [0.0, 26.3, 60.0, 98.0])
def test_consistency_is_held_against_all_that_was_measured(consistency):
    said = text(record(consistency=consistency))
    assert f"{consistency:.1f} % of the neighbours that the last round began with" in said
    assert "-1.0, -1.8, -1.3 points on 5,000 images of CIFAR-10 (18 to 26 % consistent)" in said
    assert "+1.3, 0.0, +1.7 points on digits (96 % consistent)" in said
    assert "High consistency alone does not guarantee a gain." in said
    assert "gained" not in said.replace("cannot tell whether the neighbours gained anything", "")


@pytest.mark.parametrize("gain", GAINS, ids=lambda gain: gain.images)
def test_what_was_measured_of_neighbours_stands_in_the_results(gain):
    page = (ROOT / "docs" / "results.md").read_text()
    section = page.partition("## Do the neighbours pay?")[2].partition("\n## ")[0]
    *others, last = [f"{abs(points):.1f}" for points in gain.points]
    assert (", ".join(others) + f" and {last} points" if others else f"{last} points") in section
    least, most = gain.consistency
    assert (f"{least} to {most} %" if least < most else f"{least} %") in section


def test_a_single_pair_of_runs_is_described():
    gain = MeasuredGain("letters", (50, 51), (2.0,))
    assert gain.describe() == "+2.0 points on letters (50 to 51 % consistent)"


@pytest.mark.parametrize("measured", [{}, {"mutual_neighbours": 41.0}])
@pytest.mark.parametrize("logs", [{}, {"stability": 12.5}, {"stability": 60.0}])
def test_without_labels_mutual_neighbours_and_stability_stand_in(measured, logs):
    said = text(record(evaluations=[measured], **logs), None)
    assert "Without labels it is not known whether neighbours belong together." in said
    assert ("41 % of near images are among each other's nearest" in said) == bool(measured)
    assert ("The last round began with" in said) == bool(logs)
    assert ("have not settled" in said) == (logs.get("stability") == 12.5)
    assert "of their anchor's class" not in said
    assert "That takes labelled held-out images" in said


def test_without_a_control_nothing_is_claimed_and_the_control_named():
    run = record(evaluations=[{"knn_top1": 60.0}])
    said = text(run, control_command=COMMAND)
    assert "This run alone cannot tell whether the neighbours gained anything." in said
    assert f"A run of Instance that is otherwise the same can: {COMMAND} (" in said
    assert "a run of Instance next to this one that is otherwise the same." in text(run)
    assert COMMAND not in text(run, None, control_command=COMMAND)  # it could not tell either


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (50.0, "The neighbours gained 10.0 points: kNN classifies 60.0 % correctly with them and"),
        (59.0, "The neighbours made no measurable difference: kNN classifies 60.0 %"),
        (61.0, "The neighbours made no measurable difference"),
        (70.0, "The neighbours cost 10.0 points"),
    ],
)
def test_a_control_tells_what_the_neighbours_gained(without, words):
    run = record(evaluations=[{"knn_top1": 60.0}])
    said = text(run, control=Control("plain", without))
    assert words in said and f"correctly with them and {without:.1f} % without" in said
    assert "one pair of runs with one seed; other seeds give other differences" in said
    assert "cannot tell" not in said
    for unmeasured, labels in ((record(), LABELS), (run, None)):
        assert "cannot tell" in text(unmeasured, labels, control=Control("plain", without))


@pytest.mark.parametrize("method", ["instance", "deepcluster", "split_brain", "supervised"])
def test_a_run_without_anchors_has_no_neighbours_to_judge(method):
    assert described(record(method, anchors=0, consistency=50.0)) == []


def test_before_the_first_neighbours_there_is_nothing_to_say():
    run = record()
    assert described(run)
    del run.epochs[2:]
    assert described(run) == []
