"""Did the neighbours pay? What the metrics of a run support, and what they leave open."""

from collections.abc import Mapping

from and_tf.report.control import Control
from and_tf.report.record import Record
from and_tf.report.round_0 import describe_round_0
from and_tf.report.standard_error import error_of_difference
from and_tf.report.thresholds import FEW_CONSISTENT, MANY_CONSISTENT, SETTLED, SURE

LITTLE = (
    " On 5,000 images of CIFAR-10, with 18 to 26 %, training with neighbours was 1.4 points behind "
    "training without them."
)
MUCH = (
    " That many alone do not make them pay: on Fashion-MNIST, with 76 to 87 %, training with "
    "neighbours was level with training without them (one seed)."
)
BETWEEN = " Whether so many pay has not been measured."


def trains_with_neighbours(record: Record) -> bool:
    """Whether a round with anchors has begun."""
    return any(epoch.get("anchors") for epoch in record.epochs)


def describe_neighbours(
    record: Record, counts: Mapping[str, int], control: Control | None = None
) -> list[str]:
    """Whether the neighbours may have paid, in sentences; none before there are any.

    Args:
        record: of the run.
        counts: how many images each kNN accuracy is of, by the name of the metric.
        control: a run without neighbours, otherwise the same; without one nothing is claimed.
    """
    if not trains_with_neighbours(record):
        return []
    sentences = [
        describe_consistency(record) or _describe_mutual(record),
        describe_stability(record),
        _describe_lonely_anchors(record),
        describe_round_0(record, counts),
        _describe_control(record, counts.get("knn_top1", 0), control),
    ]
    return [sentence for sentence in sentences if sentence]


def describe_consistency(record: Record) -> str:
    """Of the last discovery, beside what was measured elsewhere; empty without labels."""
    value = _last(record, "consistency")
    if value is None:
        return ""
    sentence = (
        f"{value:.1f} % of the {_pairs(record)} that the last round began with are of their "
        "anchor's class."
    )
    if not trains_with_neighbours(record):
        return sentence
    return sentence + (
        LITTLE if value < FEW_CONSISTENT else MUCH if value >= MANY_CONSISTENT else BETWEEN
    )


def _describe_mutual(record: Record) -> str:
    """What stands in for consistency where there are no labels."""
    sentence = "Without labels it is not known whether neighbours belong together."
    value = record.latest("mutual_neighbours")
    if value is not None:
        sentence += (
            f" {value:.0f} % of near images are among each other's nearest, which does not tell "
            "either: on CIFAR-10 better runs had fewer."
        )
    return sentence


def describe_stability(record: Record) -> str:
    """How many neighbours the last two discoveries share; empty before the second."""
    value = _last(record, "stability")
    if value is None:
        return ""
    sentence = (
        f"The last round began with {value:.1f} % of the {_pairs(record)} of the round before"
    )
    if value < SETTLED:
        return f"{sentence}: the neighbourhoods have not settled, and longer rounds may help."
    return f"{sentence}."


def _describe_lonely_anchors(record: Record) -> str:
    """How many anchors have no neighbour that counts, where not all neighbours do."""
    alone, anchors = _last(record, "anchors_alone"), _last(record, "anchors")
    if alone is None or anchors is None:
        return ""
    return f"{alone:,.0f} of {anchors:,.0f} anchors have no mutual neighbour and stand alone."


def _describe_control(record: Record, count: int, control: Control | None) -> str:
    """The gain over a run without neighbours, or how to find it."""
    accuracy = record.latest("knn_top1")
    if control is None or accuracy is None or not count:
        return (
            "Whether the neighbours gained anything, this run alone cannot tell: run the same "
            "command with method=instance and another workdir beside this one, and report again."
        )
    gain = accuracy - control.knn_top1
    error = error_of_difference(accuracy, control.knn_top1, count)
    details = (
        f"kNN names {accuracy:.1f} % with them and {control.knn_top1:.1f} % without, in the run "
        f"{control.name} (error {error:.1f} points; one pair of runs, and seeds differ, too)"
    )
    if abs(gain) <= SURE * error:
        return f"The neighbours made no difference that can be seen: {details}."
    return f"The neighbours {'gained' if gain > 0 else 'cost'} {abs(gain):.1f} points: {details}."


def _pairs(record: Record) -> str:
    return "neighbours" if _last(record, "mutual") is None else "mutual pairs"


def _last(record: Record, name: str) -> float | None:
    values = [epoch[name] for epoch in record.epochs if name in epoch]
    return values[-1] if values else None
