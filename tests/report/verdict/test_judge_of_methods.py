"""What is said of a method that learns labels, or whose `fc` holds no features."""

import dataclasses
import types

import numpy as np
import pytest

from and_tf.methods import METHODS
from and_tf.methods.rounds import RoundPlan
from and_tf.report.measured import knn_of_last_stage
from and_tf.report.record import Record
from and_tf.report.spread import Spread
from and_tf.report.verdict.evidence import Evidence
from and_tf.report.verdict.judge import judge

WIDE = Spread(images=1000, dim=128, uniformity=-3.2, effective_rank=40)
FLAT = Spread(images=1000, dim=128, uniformity=-0.1, effective_rank=1.2)
EQUAL = Spread(images=1000, dim=128, uniformity=-0.1, effective_rank=40)
LINE = Spread(images=1000, dim=128, uniformity=-3.0, effective_rank=1.2)
CLOSE = Spread(images=1000, dim=128, uniformity=-1.0, effective_rank=20)
LABELS = np.arange(1000) % 10
OWN = {"train, 9 images", "test, 5 images"}


def record(method, protocols=(), **measured):
    """A finished run of two epochs whose last evaluation measured this; raw pixels give 30 %."""
    return Record(
        settings=types.SimpleNamespace(
            method=METHODS[method](plan=RoundPlan(0, 2)),
            encoder=types.SimpleNamespace(init=""),
            keeps_random_weights=False,
        ),
        metadata={"raw_pixels_knn_top1": 30.0, "raw_pixels_knn_top1_train": 30.0},
        epochs=[{"epoch": epoch, "round": 0, "loss": 1.0} for epoch in (1, 2)],
        evaluations=[{"epoch": 2, "round": 0, **measured}],
        round_ends=[],
        protocols=list(protocols),
        step=8,
    )


def judged(run, labels, spread, **others):
    """The verdict on a run with these labels of held-out images."""
    return judge(Evidence(run, spread, labels=labels, **others))


def text(verdict):
    return " ".join([verdict.headline, *verdict.reasons])


@pytest.mark.parametrize("spread", [WIDE, CLOSE, EQUAL, LINE, FLAT])
@pytest.mark.parametrize("labels", [LABELS, LABELS % 2])
def test_accuracy_in_training_on_labels_is_no_verdict(spread, labels):
    """Few classes learned to 100 % lie in few points, which is what a collapse looks like."""
    verdict = judged(record("supervised", knn_top1_train=100.0), None, spread, train_labels=labels)
    assert verdict.tone == "unknown"
    assert "collapsed" not in text(verdict) and "too little training" not in text(verdict)
    assert "this method learns those of the training images" in verdict.headline
    assert "Accuracy in training: kNN among the training images names" in verdict.headline
    assert "Better than" not in text(verdict) and "without labels" not in text(verdict)


@pytest.mark.parametrize("spread", [EQUAL, LINE, FLAT])
def test_a_method_that_learns_from_labels_can_collapse_by_held_out_images(spread):
    verdict = judged(record("supervised", knn_top1=10.0, knn_top1_train=10.0), LABELS, spread)
    assert verdict.tone == "poor" and "have collapsed" in verdict.headline


def test_held_out_images_judge_a_method_that_learns_from_labels():
    verdict = judged(record("supervised", knn_top1=60.0, knn_top1_train=100.0), LABELS, WIDE)
    assert verdict.tone == "good" and "learns those" not in text(verdict)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "supervised"])
def test_training_images_are_a_measure_of_a_method_without_labels(method):
    verdict = judged(record(method, knn_top1_train=60.0), None, WIDE, train_labels=LABELS)
    assert "these images were trained on, though without labels" in text(verdict)
    assert verdict.headline.count("Better than") == 1


@pytest.mark.parametrize(("knn", "words"), [(11.7, "worse than"), (31.0, "not clearly different")])
@pytest.mark.parametrize("spread", [WIDE, CLOSE, FLAT])
def test_split_brain_is_not_judged_by_what_it_predicts(knn, words, spread):
    verdict = judged(record("split_brain", knn_top1=knn), LABELS, spread)
    assert verdict.tone == "unknown"
    assert verdict.headline.startswith(f"By fc, which is not the feature to judge by, {words}")
    assert "fc holds what the halves of the encoder predict of each other" in text(verdict)
    assert "evaluate.py with classifier=knn and layer=auto" in text(verdict)
    assert "collapsed" not in text(verdict) and "too little training" not in text(verdict)


@pytest.mark.parametrize("spread", [CLOSE, FLAT])
def test_without_labels_predictions_that_lie_close_are_no_sign(spread):
    verdict = judged(record("split_brain"), None, spread)
    assert verdict.tone == "unknown"
    assert "collapsed" not in text(verdict) and "too little training" not in text(verdict)
    assert "fc holds what the halves" in text(verdict)


@pytest.mark.parametrize(
    ("last_stage", "tone", "words"),
    [
        (43.6, "good", "Better than the same kNN on raw pixels (30.0 %) by 13.6 points"),
        (20.0, "poor", "Worse than the same kNN on raw pixels (30.0 %) by 10.0 points"),
    ],
)
def test_split_brain_is_judged_by_the_last_stage_where_it_was_measured(last_stage, tone, words):
    run = record("split_brain", knn_top1=11.7)
    verdict = judged(run, LABELS, WIDE, last_stage=last_stage)
    assert verdict.tone == tone and verdict.headline.startswith(words)
    assert f"weighted kNN on the last stage names the class of {last_stage:.1f} %" in text(verdict)
    assert "kNN on it names the class of 11.7 %" in text(verdict)


@pytest.mark.parametrize("method", ["and", "instance", "deepcluster", "supervised"])
def test_other_methods_are_judged_by_fc_whatever_else_was_measured(method):
    verdict = judged(record(method, knn_top1=20.0), LABELS, WIDE, last_stage=60.0)
    assert verdict.tone == "poor" and "last stage" not in text(verdict)


def report(**changes):
    row = {"layer": "stage4", "k": 200, "temperature": 0.1, "top1": 43.6}
    row |= {name: changes.pop(name) for name in list(changes) if name in row}
    data = {"reference": "train, 9 images", "queries": "test, 5 images"}
    return {"classifier": "knn", "protocol": "kNN", "step": 8, "rows": [row]} | data | changes


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, 43.6),
        ({"layer": "conv5"}, 43.6),
        ({"layer": "stage3"}, None),
        ({"layer": "fc"}, None),
        ({"k": 20}, None),
        ({"classifier": "linear"}, None),
        ({"step": 4}, None),
        ({"queries": "others, 5 images"}, None),
    ],
)
def test_the_last_stage_is_read_of_the_same_checkpoint_images_and_protocol(changes, found):
    run = record("split_brain", [report(layer="stage1", top1=9.0), report(**changes)])
    assert knn_of_last_stage(run, OWN) == found
    assert knn_of_last_stage(dataclasses.replace(run, step=None), OWN) is None
