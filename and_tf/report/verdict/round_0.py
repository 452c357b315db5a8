"""Had round 0 stopped improving when the first neighbours were chosen?

Round 0 is Instance, without neighbours. A later gain is due to the neighbours only to the extent
that Instance would not have made it on its own.
"""

from collections.abc import Mapping

from and_tf.report.record import Record
from and_tf.report.standard_error import error_of_difference
from and_tf.report.verdict.thresholds import (
    LAST_PART,
    LEAST_EPOCHS,
    LEAST_POINTS,
    LOSS_FALL,
    RANK_RISE,
    SURE,
)
from and_tf.settings import flat_values

TITLES = {"knn_top1": "kNN", "knn_top1_train": "kNN among the training images"}

Points = list[tuple[int, float]]  # epoch and value


def describe_round_0(record: Record, counts: Mapping[str, int]) -> str:
    """Whether round 0 was still improving at its end, and by which metric, or that it is unknown.

    Judged by kNN if it was measured often enough, else by the effective rank, else by the loss at
    one learning rate.

    Args:
        record: of a run whose round 0 is over.
        counts: number of classified images for each kNN accuracy, by the name of the metric.
    """
    for name, title in TITLES.items():
        points = last_points(record, name)
        if points and counts.get(name):
            return _by_accuracy(record, points, title, counts[name])
    if points := last_points(record, "effective_rank"):
        return _by_rank(record, points)
    if points := _losses(record):
        return _by_loss(record, points)
    return _unknown(record.plan.start_of(1))


def last_points(record: Record, name: str) -> Points:
    """A metric's values from two thirds of round 0 to its end; empty if there are too few.

    The first point is the last one at or before two thirds, unless it is before the middle.
    """
    length = record.plan.start_of(1)
    points = [(r["epoch"], r[name]) for r in record.evaluations if r["round"] == 0 and name in r]
    before = [epoch for epoch, _ in points if length / 2 <= epoch <= LAST_PART * length]
    first = max(before, default=LAST_PART * length)
    points = [(epoch, value) for epoch, value in points if epoch >= first]
    reaches_end = bool(points) and points[-1][0] == length
    return points if reaches_end and len(points) >= LEAST_POINTS else []


def _losses(record: Record) -> Points:
    """The loss in the last third of round 0, at the learning rate of its last epoch.

    It falls with the rate, so only epochs of one rate are compared; empty if there are too few, or
    if the loss contains an entropy whose weight changes within the round.
    """
    if flat_values(record.settings.method).get("entropy_weight"):
        return []
    length = record.plan.start_of(1)
    epochs = [e for e in record.epochs if e["round"] == 0 and e["epoch"] > LAST_PART * length]
    rates = [e.get("learning_rate") for e in epochs]
    points = [
        (e["epoch"], e["loss"]) for e, rate in zip(epochs, rates, strict=True) if rate == rates[-1]
    ]
    return points if len(points) >= LEAST_EPOCHS and rates[-1] is not None else []


def _by_accuracy(record: Record, points: Points, title: str, count: int) -> str:
    (_, before), (_, after) = points[0], points[-1]
    error = error_of_difference(before, after, count)
    details = (
        f"{title} changed by {after - before:+.1f} points {_epochs(points)}, error {error:.1f}"
    )
    if after - before > SURE * error:
        return _still_improving(record, points, details)
    if after - before > error:
        return (
            "Whether Instance, which is round 0, had stopped improving is not certain: in its last "
            f"third {details}. More images to measure on would tell."
        )
    return _level(record, f"{details}; less than {SURE * error:.1f} points could not be detected")


def _by_rank(record: Record, points: Points) -> str:
    (_, before), (_, after) = points[0], points[-1]
    details = f"its effective rank went from {before:.1f} to {after:.1f} {_epochs(points)}"
    if 100 * (after / before - 1) > RANK_RISE:
        return _still_improving(record, points, details)
    return _level(record, details)


def _by_loss(record: Record, points: Points) -> str:
    (_, before), (_, after) = points[0], points[-1]
    details = (
        f"its loss went from {before:.3f} to {after:.3f} {_epochs(points)}, at one learning rate; "
        "the loss is a weak sign of accuracy"
    )
    if 100 * (1 - after / before) > LOSS_FALL:
        return _still_improving(record, points, details)
    return _level(record, details)


def _unknown(length: int) -> str:
    """With the interval between evaluations that would tell, for a round of `length` epochs."""
    sentence = "Whether Instance, which is round 0, had stopped improving is unknown:"
    if length <= LEAST_POINTS:
        return f"{sentence} round 0 of {length} epoch{'s' * (length > 1)} is too short to tell."
    return (
        f"{sentence} it was hardly evaluated in its last third. Evaluate more often "
        f"(eval_every={max(1, length // 10)}; round 0 has {length} epochs)."
    )


def _epochs(points: Points) -> str:
    return f"from epoch {points[0][0]} to {points[-1][0]}"


def _still_improving(record: Record, points: Points, details: str) -> str:
    """Not certain if the learning rate fell between the points, which alone improves features."""
    rates = {e["epoch"]: e["learning_rate"] for e in record.epochs if "learning_rate" in e}
    before, after = (rates.get(epoch) for epoch, _ in (points[0], points[-1]))
    if before and after is not None and after < before / 2:
        return (
            "Whether Instance, which is round 0, had stopped improving is not certain: in its last "
            f"third {details}, but its learning rate fell to {after / before:.2g} of what it was "
            "there, which alone improves features. A longer round 0 (first_round_epochs) would "
            "tell."
        )
    return (
        "Instance, which is round 0, was still improving when the first neighbours were chosen: "
        f"lengthen round 0 (first_round_epochs). In its last third {details}."
    )


def _level(record: Record, details: str) -> str:
    """With a caution if the learning rate had fallen, which flattens any curve."""
    rates = [e["learning_rate"] for e in record.epochs if e["round"] == 0 and "learning_rate" in e]
    sentence = (
        "Instance, which is round 0, showed no further improvement when the first neighbours were "
        f"chosen: in its last third {details}."
    )
    if rates and rates[-1] < rates[0] / 2:
        sentence += (
            f" Its learning rate had fallen to {rates[-1] / rates[0]:.2g} of the first, which "
            "flattens the curve: a longer round 0 may still add to it."
        )
    return sentence
