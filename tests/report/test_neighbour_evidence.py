"""Whether the neighbours of a run may have paid: nothing is claimed that was not measured."""

import types

import pytest

from and_tf.methods import METHODS
from and_tf.methods.rounds import RoundPlan
from and_tf.report.control import Control
from and_tf.report.neighbour_evidence import describe_neighbours
from and_tf.report.record import Record

COUNTS = {"knn_top1": 2_000}


def record(method="and", evaluations=(), **logs):
    """A finished run of two rounds of two epochs; `logs` of the epochs of the last round."""
    settings = types.SimpleNamespace(method=METHODS[method](plan=RoundPlan(1, 2)))
    logs = {"anchors": 0 if method == "instance" else 50} | logs
    epochs = [{"epoch": e, "round": int(e > 2), "loss": 5.0} for e in (1, 2, 3, 4)]
    epochs = [epoch | logs if epoch["round"] else epoch for epoch in epochs]
    measured = [{"epoch": 4, "round": 1, **each} for each in evaluations]
    return Record(settings, {}, epochs, measured, [], [])


def text(*arguments, **others):
    return " ".join(describe_neighbours(*arguments, **others))


@pytest.mark.parametrize(
    ("consistency", "words"),
    [
        (0.0, "with 18 to 26 %, training with neighbours was 1.4 points behind"),
        (26.3, "with 18 to 26 %, training with neighbours was 1.4 points behind"),
        (30.0, "Whether so many pay has not been measured."),
        (60.0, "Whether so many pay has not been measured."),
        (75.0, "That many alone do not make them pay: on Fashion-MNIST, with 76 to 87 %"),
        (98.0, "That many alone do not make them pay"),
    ],
)
def test_consistency_is_held_against_what_was_measured(consistency, words):
    said = text(record(consistency=consistency), COUNTS)
    assert f"{consistency:.1f} % of the neighbours that the last round began with" in said
    assert words in said and said.count("Fashion-MNIST") + said.count("CIFAR-10") <= 1
    assert "gained" not in said.replace("gained anything, this run alone cannot tell", "")


@pytest.mark.parametrize("measured", [{}, {"mutual_neighbours": 41.0}])
@pytest.mark.parametrize("logs", [{}, {"stability": 12.5}, {"stability": 60.0}])
def test_without_labels_mutual_neighbours_and_stability_stand_in(measured, logs):
    said = text(record(evaluations=[measured], **logs), {})
    assert "Without labels it is not known whether neighbours belong together." in said
    assert ("41 % of near images are among each other's nearest" in said) == bool(measured)
    assert ("The last round began with" in said) == bool(logs)
    assert ("have not settled" in said) == (logs.get("stability") == 12.5)
    assert "class" not in said


def test_of_mutual_pairs_it_is_said_what_they_are_and_which_anchors_have_none():
    said = text(record(consistency=50.0, stability=40.0, mutual=70.0, anchors_alone=15), COUNTS)
    assert "50.0 % of the mutual pairs that the last round began with" in said
    assert "The last round began with 40.0 % of the mutual pairs of the round before." in said
    assert "15 of 50 anchors have no mutual neighbour and stand alone." in said
    assert "mutual" not in text(record(consistency=50.0, stability=40.0), COUNTS)


def test_without_a_control_nothing_is_claimed_and_the_control_named():
    said = text(record(evaluations=[{"knn_top1": 60.0}]), COUNTS)
    assert "Whether the neighbours gained anything, this run alone cannot tell" in said
    assert "method=instance" in said


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (50.0, "The neighbours gained 10.0 points: kNN names 60.0 % with them and 50.0 % without"),
        (59.0, "The neighbours made no difference that can be seen: kNN names 60.0 % with them"),
        (61.0, "The neighbours made no difference that can be seen"),
        (70.0, "The neighbours cost 10.0 points"),
    ],
)
def test_a_control_tells_what_the_neighbours_gained(without, words):
    run = record(evaluations=[{"knn_top1": 60.0}])
    said = text(run, COUNTS, control=Control("plain", without))
    assert words in said and "one pair of runs" in said and "cannot tell" not in said
    for unmeasured, counts in ((record(), COUNTS), (run, {})):
        assert "cannot tell" in text(unmeasured, counts, control=Control("plain", without))


@pytest.mark.parametrize("method", ["instance", "deepcluster", "split_brain", "supervised"])
def test_a_run_without_anchors_has_no_neighbours_to_judge(method):
    assert describe_neighbours(record(method, anchors=0, consistency=50.0), COUNTS) == []


def test_before_the_first_neighbours_there_is_nothing_to_say():
    run = record()
    assert describe_neighbours(run, COUNTS)
    del run.epochs[2:]
    assert describe_neighbours(run, COUNTS) == []
