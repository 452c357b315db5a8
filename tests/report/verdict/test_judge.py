"""What is said of a run, with labels and without."""

import math
import types

import numpy as np
import pytest

from and_tf.methods import METHODS
from and_tf.methods.rounds import RoundPlan
from and_tf.report.record import Record
from and_tf.report.sentences import describe_nearest
from and_tf.report.spread import Spread
from and_tf.report.standard_error import standard_error
from and_tf.report.verdict.accuracy import trend
from and_tf.report.verdict.evidence import Evidence
from and_tf.report.verdict.judge import judge
from and_tf.report.verdict.without_labels import describe_overlap, describe_size

WIDE = Spread(images=1000, dim=128, uniformity=-3.2, effective_rank=40)
LABELS = np.arange(1000) % 10


def record(knn=(), raw=30.0, epochs=6, init="", **latest):
    """A run of three rounds of two epochs; `knn` by round."""
    evaluations = [{"round": i, "knn_top1": value} for i, value in enumerate(knn)]
    return Record(
        settings=types.SimpleNamespace(
            method=METHODS["instance"](plan=RoundPlan(2, 2)),
            encoder=types.SimpleNamespace(init=init),
            keeps_random_weights=False,
        ),
        metadata={} if raw is None else {"raw_pixels_knn_top1": raw},
        epochs=[{"epoch": epoch + 1, "loss": 1.0} for epoch in range(epochs)],
        evaluations=[*evaluations, {"round": len(knn), **latest}],
        round_ends=[],
        protocols=[],
    )


def judged(run, labels, spread, **others):
    """The verdict on a run with these labels of held-out images."""
    return judge(Evidence(run, spread, labels=labels, **others))


def test_the_standard_error_is_that_of_a_fraction():
    draws = np.random.default_rng(0).binomial(500, 0.3, 20_000) / 5  # percent
    assert standard_error(30.0, 500) == pytest.approx(draws.std(), rel=0.02)


@pytest.mark.parametrize(
    ("knn", "tone", "words"),
    [
        ([40, 45, 60], "good", "Better than the same kNN on raw pixels (30.0 %) by 30.0 points"),
        ([20, 25, 32], "mixed", "Not clearly different from the same kNN on raw pixels"),
        ([10, 12, 15], "poor", "Worse than the same kNN on raw pixels (30.0 %) by 15.0 points"),
    ],
)
def test_the_headline_compares_with_raw_pixels(knn, tone, words):
    verdict = judged(record(knn), LABELS, WIDE)
    assert verdict.tone == tone
    assert words in verdict.headline
    error = 100 * math.sqrt(knn[-1] / 100 * (1 - knn[-1] / 100) / 1000)
    assert f"1,000 held-out images (standard error {error:.1f} points)" in verdict.headline


@pytest.mark.parametrize(
    ("start", "tone", "words"),
    [
        (80.0, "poor", "Worse than the same kNN with the weights it began with (80.0 %) by 20.0"),
        (61.0, "mixed", "Not clearly different from the same kNN with the weights it began with"),
        (45.0, "good", "Better than the same kNN with the weights it began with (45.0 %) by 15.0"),
    ],
)
def test_a_run_from_weights_is_compared_with_them_first(start, tone, words):
    run = record([40, 45, 60])
    run.metadata["init_knn_top1"] = start
    verdict = judged(run, LABELS, WIDE)
    assert verdict.tone == tone and verdict.headline.startswith(words)
    assert "raw pixels" in verdict.headline


def test_without_raw_pixels_it_compares_with_the_largest_class():
    labels = np.array([0] * 700 + [1] * 300)
    verdict = judged(record([71.0], raw=None), labels, WIDE)
    assert verdict.tone == "mixed" and "largest class (70.0 %)" in verdict.headline


@pytest.mark.parametrize(
    ("by_round", "words"),
    [
        ({0: 30, 1: 40, 2: 50}, "Still rising: +10.0 points from round 1 to 2"),
        ({0: 30, 1: 49, 2: 50}, "Level"),
        ({0: 30, 1: 50, 2: 49}, "Level"),
        ({0: 30, 1: 50, 2: 40}, "Falling: 10.0 points below round 1"),
        ({0: 60, 1: 40, 2: 50}, "Falling: 10.0 points below round 0"),
    ],
)
def test_the_trend_needs_two_standard_errors(by_round, words):
    assert trend(by_round, 1000).startswith(words)
    assert trend(by_round, 10).startswith("Level")  # of ten images nothing is sure


def test_one_round_has_no_trend():
    assert trend({0: 50.0}, 1000) == ""


def test_the_standard_error_is_never_0():
    for count in (1, 10, 10_000):
        assert standard_error(100.0, count) == pytest.approx(standard_error(0.0, count))
        assert standard_error(100.0, count) > 100 / (count + 4)
    assert standard_error(37.5, 8) == pytest.approx(100 * math.sqrt(5 / 12 * 7 / 12 / 12))


EQUAL = Spread(1000, 128, -0.1, 40)
LINE = Spread(1000, 128, -3, 1.2)
POINT = Spread(1000, 128, -0.1, 1.2)


@pytest.mark.parametrize(
    ("spread", "knn", "labels"),
    [(EQUAL, 31, LABELS), (LINE, 20, LABELS), (POINT, 20, LABELS), (POINT, 60, None)],
)
def test_a_collapse_is_said_first(spread, knn, labels):
    verdict = judged(record([knn]), labels, spread)
    assert verdict.tone == "poor"
    assert verdict.headline.startswith("The embeddings have collapsed")
    assert "are close together" not in " ".join(verdict.reasons)


@pytest.mark.parametrize("spread", [EQUAL, LINE, POINT])
def test_embeddings_that_tell_classes_apart_have_not_collapsed(spread):
    verdict = judged(record([60]), LABELS, spread)
    assert verdict.tone == "good" and "collapsed" not in verdict.headline
    assert "They are close together" in verdict.reasons[-1]


@pytest.mark.parametrize("spread", [EQUAL, LINE])
def test_without_labels_a_single_sign_is_no_collapse(spread):
    verdict = judged(record(), None, spread)
    assert verdict.tone == "mixed" and "collapsed" not in verdict.headline
    assert "are close together" in verdict.headline


def test_without_held_out_labels_knn_among_the_training_images_is_told():
    verdict = judged(record(knn_top1_train=70.0), None, WIDE, train_labels=LABELS)
    assert verdict.tone == "good"
    assert "Better than always naming the largest class (10.0 %) by 60.0 points" in verdict.headline
    assert "kNN among the training images names the class of 70.0 % of 1,000" in verdict.headline


def test_without_labels_nothing_is_claimed_on_accuracy():
    verdict = judged(record(), None, WIDE)
    assert verdict.tone == "unknown"
    assert verdict.headline.startswith(
        "Without labels the accuracy of the features cannot be known; "
    )
    assert "nothing points to a collapse" in verdict.headline
    reasons = " ".join(verdict.reasons)
    assert (
        "The embeddings (layer fc) spread over 40 of 128 directions" in reasons
        and "label some" in reasons
    )
    assert "class" not in reasons and "stayed" not in reasons


def test_neighbour_overlap_is_told_with_its_epochs():
    evaluations = [{"epoch": e, "neighbours_kept": 10.0 * e} for e in (2, 4, 8)]
    words = describe_overlap([{"epoch": 1}, *evaluations], describe_nearest(8))
    assert words.startswith("Of the 7 nearest of each image")
    assert "80 % stayed" in words and "of epoch 8 (40 % to that of epoch 4)" in words
    assert describe_overlap([{"epoch": 1}], "10 nearest") == ""
    assert [describe_nearest(n) for n in (2, 3, 11, 500)] == ["nearest", "2 nearest"] + [
        "10 nearest"
    ] * 2


@pytest.mark.parametrize("spread", [Spread(1000, 128, -3, 9.0), Spread(1000, 128, -0.7, 40.0)])
def test_close_embeddings_are_a_warning(spread):
    verdict = judged(record(), None, spread)
    assert verdict.tone == "mixed" and "close together" in verdict.headline
    assert "They are close together" in verdict.reasons[-1]


def test_the_published_result_is_named_beside():
    verdict = judged(record([60]), LABELS, WIDE, published="Published: 86.3 %.")
    assert "Published: 86.3 %." in verdict.reasons


def test_an_unfinished_run_says_so():
    verdict = judged(record([40], epochs=3), LABELS, WIDE)
    assert verdict.headline.startswith("Unfinished, after 3 of 6 epochs. Better than")


def test_a_checkpoint_before_the_end_is_not_called_unfinished():
    verdict = judged(record([40], epochs=3), LABELS, WIDE, checkpoint="best")
    assert verdict.headline.startswith("Checkpoint best, after 3 of 6 epochs. Better than")


@pytest.mark.parametrize(
    ("knn", "raw", "largest", "tone", "words"),
    [
        (50, 30.0, 40, "good", "Better than LARGEST (40.0 %) by 10.0 points, and than PIXELS"),
        (35, 30.0, 40, "poor", "Worse than LARGEST (40.0 %) by 5.0 points; PIXELS gives 30.0 %"),
        (35, 40.0, 20, "poor", "Worse than PIXELS (40.0 %) by 5.0 points; LARGEST gives 20.0 %"),
        (41, 30.0, 40, "mixed", "Not clearly different from LARGEST"),
    ],
)  # fmt: skip
def test_both_baselines_are_named_and_the_better_one_decides(knn, raw, largest, tone, words):
    labels = np.concatenate([np.zeros(10 * largest, int), np.arange(1000 - 10 * largest) % 10 + 1])
    verdict = judged(record([knn], raw=raw), labels, WIDE)
    said = verdict.headline.replace("always naming the largest class", "LARGEST")
    said = said.replace("the same kNN on raw pixels", "PIXELS")
    assert verdict.tone == tone and said.startswith(words)


def test_training_images_too_are_compared_with_raw_pixels():
    run = record(knn_top1_train=70.0)
    run.metadata["raw_pixels_knn_top1_train"] = 75.0
    verdict = judged(run, None, WIDE, train_labels=LABELS)
    assert verdict.tone == "poor" and "raw pixels (75.0 %) by 5.0 points" in verdict.headline


def test_random_weights_are_called_untrained_however_few_the_images():
    run = record([40], epochs=0)
    run.metadata["images"] = 60
    run.settings.keeps_random_weights = True
    verdict = judged(run, LABELS, WIDE)
    assert verdict.headline.startswith("Untrained: these are random weights. Better than")
    assert "too few" not in " ".join(verdict.reasons)


def test_a_set_too_small_to_learn_from_is_told_with_the_remedy():
    run, pretrained = record([60]), record([60], init="MobileNetV2")
    run.metadata["images"] = pretrained.metadata["images"] = 60
    reasons = " ".join(judged(run, LABELS, WIDE).reasons)
    assert "60 images are too few" in reasons and "pretrained weights" in reasons
    assert "too few" not in " ".join(judged(pretrained, LABELS, WIDE).reasons)
    assert describe_size(500) == "" and describe_size(None) == ""
