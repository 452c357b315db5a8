"""What is said of a run, with labels and without."""

import math
import types

import numpy as np
import pytest

from and_tf.report.record import Record
from and_tf.report.verdict import Spread, judge, neighbours_kept, standard_error, trend

WIDE = Spread(images=1000, dim=128, uniformity=-3.2, effective_rank=40)
LABELS = np.arange(1000) % 10


def record(knn=(), raw=30.0, epochs=6, **latest):
    """A run of three rounds of two epochs; `knn` by round."""
    evaluations = [{"round": i, "knn_top1": value} for i, value in enumerate(knn)]
    return Record(
        options=types.SimpleNamespace(rounds=2, epochs_per_round=2, first_round_epochs=0),
        facts={} if raw is None else {"raw_pixels_knn_top1": raw},
        epochs=[{"epoch": epoch + 1, "loss": 1.0} for epoch in range(epochs)],
        evaluations=[*evaluations, {"round": len(knn), **latest}],
        round_ends=[],
        protocols=[],
    )


def test_the_standard_error_is_that_of_a_share():
    draws = np.random.default_rng(0).binomial(500, 0.3, 20_000) / 5  # percent
    assert standard_error(30.0, 500) == pytest.approx(draws.std(), rel=0.02)
    assert standard_error(100.0, 500) == 0


@pytest.mark.parametrize(
    ("knn", "tone", "words"),
    [
        ([40, 45, 60], "good", "Better than the same kNN on raw pixels (30.0 %) by 30.0 points"),
        ([20, 25, 32], "mixed", "Not clearly different from the same kNN on raw pixels"),
        ([10, 12, 15], "poor", "Worse than the same kNN on raw pixels (30.0 %) by 15.0 points"),
    ],
)
def test_the_headline_compares_with_raw_pixels(knn, tone, words):
    verdict = judge(record(knn), LABELS, WIDE)
    assert verdict.tone == tone
    assert words in verdict.headline
    error = 100 * math.sqrt(knn[-1] / 100 * (1 - knn[-1] / 100) / 1000)
    assert f"1,000 held-out images (standard error {error:.1f} points)" in verdict.headline


def test_without_raw_pixels_it_compares_with_the_largest_class():
    labels = np.array([0] * 700 + [1] * 300)
    verdict = judge(record([71.0], raw=None), labels, WIDE)
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


@pytest.mark.parametrize(
    "spread",
    [Spread(1000, 128, -0.1, 40), Spread(1000, 128, -3, 1.2)],
    ids=["uniformity", "effective rank"],
)
@pytest.mark.parametrize("labels", [LABELS, None])
def test_a_collapse_is_said_first(spread, labels):
    verdict = judge(record([60]), labels, spread)
    assert verdict.tone == "poor"
    assert verdict.headline.startswith("The embeddings have collapsed")


def test_without_labels_nothing_is_claimed_on_accuracy():
    verdict = judge(record(), None, WIDE)
    assert verdict.tone == "unknown"
    assert "cannot be known without labels; nothing points to a collapse" in verdict.headline
    grounds = " ".join(verdict.grounds)
    assert "40 of 128 directions" in grounds and "label some" in grounds
    assert "class" not in grounds and "stayed" not in grounds


def test_neighbours_kept_are_told_with_their_epochs():
    evaluations = [{"epoch": e, "neighbours_kept": 10.0 * e} for e in (2, 4, 8)]
    words = neighbours_kept([{"epoch": 1}, *evaluations])
    assert "80 % stayed" in words and "of epoch 8 (40 % to that of epoch 4)" in words
    assert neighbours_kept([{"epoch": 1}]) == ""


@pytest.mark.parametrize("spread", [Spread(1000, 128, -3, 9.0), Spread(1000, 128, -0.7, 40.0)])
def test_close_embeddings_are_a_warning(spread):
    verdict = judge(record(), None, spread)
    assert verdict.tone == "mixed" and "close together" in verdict.headline
    assert "That is little" in verdict.grounds[-1]


def test_the_published_figure_is_named_beside():
    verdict = judge(record([60]), LABELS, WIDE, "Published: 86.3 %.")
    assert "Published: 86.3 %." in verdict.grounds


def test_an_unfinished_run_says_so():
    verdict = judge(record([40], epochs=3), LABELS, WIDE)
    assert verdict.headline.startswith("Unfinished, 3 of 6 epochs.")
