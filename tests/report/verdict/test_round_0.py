"""Whether round 0 was still improving at its end, from every kind of measurement, and from none."""

import types

import pytest

from and_tf.methods import METHODS
from and_tf.methods.options import BankOptions
from and_tf.methods.rounds import RoundPlan
from and_tf.report.record import Record
from and_tf.report.verdict.round_0 import describe_round_0, last_points

COUNTS = {"knn_top1": 2_000, "knn_top1_train": 1_000}
STEP = [0.03] * 18 + [0.003] * 6 + [0.0003] * 6  # of 30 epochs, as `step` has them
FLAT = [0.03] * 30


def record(every=2, first=0, rates=STEP, loss=lambda epoch: 5.0, options=None, **metrics):
    """A run of two rounds of 30 epochs; metrics by a function of the epoch, every so many."""
    plan = RoundPlan(1, 30, first)
    length = plan.start_of(1)
    rates = [*rates, *([rates[-1]] * (plan.total_epochs - 2 * len(rates))), *rates]
    epochs = [
        {"epoch": e, "round": int(e > length), "loss": loss(e), "learning_rate": rate}
        for e, rate in zip(range(1, plan.total_epochs + 1), rates, strict=False)
    ]
    evaluations = [
        {"epoch": e, "round": int(e > length)} | {name: value(e) for name, value in metrics.items()}
        for e in range(1, plan.total_epochs + 1)
        if e % every == 0 or plan.ends_round(e - 1)
    ]
    options = BankOptions(**options or {})
    settings = types.SimpleNamespace(method=METHODS["and"](plan=plan, options=options))
    return Record(settings, {}, epochs, evaluations, [], [])


def rising(epoch):
    return 20.0 + epoch


def level(epoch):
    return 20.0 + min(epoch, 15)


@pytest.mark.parametrize(("name", "error"), [("knn_top1", 1.6), ("knn_top1_train", 2.2)])
def test_knn_that_rises_to_the_end_asks_for_a_longer_round_0(name, error):
    said = describe_round_0(record(rates=FLAT, **{name: rising}), COUNTS)
    assert said.startswith("Instance, which is round 0, was still improving when the first neigh")
    assert "lengthen round 0 (first_round_epochs)" in said
    assert f"changed by +10.0 points from epoch 20 to 30, error {error}." in said
    assert ("among the training images" in said) == (name == "knn_top1_train")


@pytest.mark.parametrize("name", ["knn_top1", "effective_rank"])
def test_a_rise_while_the_learning_rate_falls_is_no_proof(name):
    def drop(epoch):  # level but for the fall of the rate
        return 40.0 + 10.0 * (epoch > 24)

    said = describe_round_0(record(**{name: drop}), COUNTS)
    assert "had stopped improving is not certain" in said and "still improving" not in said
    assert "learning rate fell to 0.1 of what it was there, which alone improves features" in said
    assert "still improving" in describe_round_0(record(rates=FLAT, **{name: drop}), COUNTS)


def test_knn_that_stays_is_no_proof_where_the_rate_has_fallen():
    said = describe_round_0(record(knn_top1=level), COUNTS)
    assert "showed no further improvement" in said and "lengthen" not in said
    assert "less than 3.0 points could not be detected" in said
    assert "learning rate had fallen to 0.01 of the first" in said
    assert "learning rate" not in describe_round_0(record(rates=FLAT, knn_top1=level), COUNTS)


def test_a_rise_within_the_error_is_not_called_one():
    for count, words in (
        (1_000, "showed no further improvement"),
        (10_000, "had stopped improving is not certain: in its last third kNN changed by +1.0"),
        (200_000, "was still improving"),
    ):
        slow = record(rates=FLAT, knn_top1=lambda e: 40 + e / 10)
        said = describe_round_0(slow, {"knn_top1": count})
        assert words in said


def test_only_round_0_and_only_its_last_third_count():
    late = record(knn_top1=lambda epoch: 20.0 + max(0, epoch - 30))
    early = record(knn_top1=lambda epoch: 20.0 + min(20, epoch))
    for run in (late, early):
        assert "showed no further improvement" in describe_round_0(run, COUNTS)


def test_a_first_round_of_its_own_length_is_looked_at_to_its_end():
    run = record(every=5, first=60, rates=[0.03] * 45, knn_top1=lambda e: 20.0 + max(0, e - 40))
    assert [epoch for epoch, _ in last_points(run, "knn_top1")] == [40, 45, 50, 55, 60]
    assert "+20.0 points from epoch 40 to 60" in describe_round_0(run, COUNTS)


@pytest.mark.parametrize(
    ("every", "epochs"),
    [(1, list(range(20, 31))), (5, [20, 25, 30]), (7, [21, 28, 30]), (9, [18, 27, 30]),
     (10, []), (16, []), (50, [])],
)  # fmt: skip
def test_few_evaluations_say_nothing(every, epochs):
    found = last_points(record(every, knn_top1=rising), "knn_top1")
    assert [epoch for epoch, _ in found] == epochs


def test_without_labels_the_effective_rank_tells():
    ranks = {"effective_rank": rising, "knn_top1": rising, "rates": FLAT}
    said = describe_round_0(record(**ranks), {})
    assert "still improving" in said and "effective rank went from 40.0 to 50.0" in said
    ranks["effective_rank"] = level
    assert "showed no further improvement" in describe_round_0(record(**ranks), {})


def test_where_no_metric_was_measured_often_enough_the_loss_at_one_rate_tells():
    falling = {"rates": [0.03] * 18 + [0.003] * 12, "loss": lambda epoch: 6.0 - epoch / 20}
    said = describe_round_0(record(every=50, knn_top1=rising, **falling), COUNTS)
    assert "still improving" in said and "the loss is a weak sign of accuracy" in said
    assert "its loss went from 4.950 to 4.500 from epoch 21 to 30, at one learning rate" in said
    falling["loss"] = lambda epoch: 5.0 - epoch / 1000
    assert "showed no further improvement" in describe_round_0(record(every=50, **falling), COUNTS)


def test_a_loss_with_an_entropy_whose_weight_changes_says_nothing():
    falling = {"rates": FLAT, "loss": lambda epoch: 6.0 - epoch / 20}
    assert "still improving" in describe_round_0(record(every=50, **falling), COUNTS)
    said = describe_round_0(record(every=50, options={"entropy_weight": 0.2}, **falling), COUNTS)
    assert "had stopped improving is unknown" in said


def test_a_loss_that_falls_with_the_rate_says_nothing():
    def drop(epoch):  # 5 to epoch 24, then 3
        return 5.0 - 2.0 * (epoch > 24)

    said = describe_round_0(record(every=50, loss=drop), COUNTS)
    assert (
        "weak sign" in said and "showed no further improvement" in said
    )  # six epochs at the last rate
    cosine = [0.03 * (1 - e / 31) for e in range(30)]
    said = describe_round_0(record(every=50, rates=cosine, loss=lambda e: 6 - e / 9), COUNTS)
    assert said.startswith("Whether Instance, which is round 0, had stopped improving is unknown")
    assert "eval_every=3; round 0 has 30 epochs" in said


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 9, 10, 19, 20, 33, 100, 200])
def test_the_interval_that_is_advised_is_short_enough(length):
    rates = [0.03 * 0.99**epoch for epoch in range(300)]  # by which the loss says nothing
    said = describe_round_0(record(every=1000, first=length, rates=rates), COUNTS)
    if length < 4:
        assert f"round 0 of {length} epoch" in said and "too short" in said
        assert "eval_every" not in said
        return
    every = int(said.partition("eval_every=")[2].partition(";")[0])
    assert last_points(record(every, first=length, knn_top1=rising), "knn_top1")


def test_an_old_run_without_rates_and_evaluations_is_unknown():
    run = record(every=50)
    for epoch in run.epochs:
        del epoch["learning_rate"]
    assert "is unknown" in describe_round_0(run, COUNTS)
