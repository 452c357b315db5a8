"""Did the neighbours help? What the metrics of a run show, and what they leave open."""

from and_tf.report.record import Record
from and_tf.report.standard_error import error_of_difference
from and_tf.report.verdict.evidence import Evidence
from and_tf.report.verdict.measured_gains import describe_gains
from and_tf.report.verdict.round_0 import describe_round_0
from and_tf.report.verdict.thresholds import SETTLED, SURE

QUESTION = "Did the neighbours help?"


def trains_with_neighbours(record: Record) -> bool:
    """Whether a round with anchors has begun."""
    return any(epoch.get("anchors") for epoch in record.epochs)


def describe_neighbours(evidence: Evidence) -> list[str]:
    """Sentences on whether the neighbours may have helped; none before the first discovery.

    Without a control no gain is claimed.
    """
    record = evidence.record
    if not trains_with_neighbours(record):
        return []
    counts = {name: len(labels) for name, labels in evidence.labels_of.items()}
    sentences = [
        describe_consistency(record) or _describe_mutual(record),
        describe_stability(record),
        describe_round_0(record, counts),
        _describe_control(evidence, counts.get("knn_top1", 0)),
    ]
    return [sentence for sentence in sentences if sentence]


def describe_consistency(record: Record) -> str:
    """Consistency of the last discovery, with gains measured elsewhere; empty without labels."""
    value = _last(record, "consistency")
    if value is None:
        return ""
    sentence = (
        f"{value:.1f} % of the neighbours that the last round began with are of their "
        "anchor's class."
    )
    if not trains_with_neighbours(record):
        return sentence
    return f"{sentence} {describe_gains()} High consistency alone does not guarantee a gain."


def _describe_mutual(record: Record) -> str:
    """What replaces consistency if there are no labels."""
    sentence = "Without labels it is not known whether neighbours belong together."
    value = record.latest("mutual_neighbours")
    if value is not None:
        sentence += (
            f" {value:.0f} % of near images are among each other's nearest, which does not tell "
            "either: on CIFAR-10, better runs had fewer."
        )
    return sentence


def describe_stability(record: Record) -> str:
    """How many neighbours the last two discoveries share; empty before the second."""
    value = _last(record, "stability")
    if value is None:
        return ""
    sentence = f"The last round began with {value:.1f} % of the neighbours of the previous round"
    if value < SETTLED:
        return f"{sentence}: the neighbourhoods have not settled."
    return f"{sentence}."


def _describe_control(evidence: Evidence, count: int) -> str:
    """The gain over a run without neighbours, or how to measure it."""
    control, accuracy = evidence.control, evidence.record.latest("knn_top1")
    if control is None or accuracy is None or not count:
        return _ask_for_control(evidence.control_command if count else "")
    gain = accuracy - control.knn_top1
    error = error_of_difference(accuracy, control.knn_top1, count)
    details = (
        f"kNN classifies {accuracy:.1f} % correctly with them and {control.knn_top1:.1f} % "
        f"without, in the run {control.name} (error {error:.1f} points; one pair of runs with one "
        "seed; other seeds give other differences)"
    )
    if abs(gain) <= SURE * error:
        return f"The neighbours made no measurable difference: {details}."
    return f"The neighbours {'gained' if gain > 0 else 'cost'} {abs(gain):.1f} points: {details}."


def _ask_for_control(command: str) -> str:
    """How to find out what the neighbours gained; with the command if it is known."""
    sentence = "This run alone cannot tell whether the neighbours gained anything."
    if not command:
        return (
            f"{sentence} That takes labelled held-out images, and a run of Instance next to this "
            "one that is otherwise the same."
        )
    return (
        f"{sentence} A run of Instance that is otherwise the same can: {command} (settings that "
        "only AND has are left out, with a warning). Then report again."
    )


def _last(record: Record, name: str) -> float | None:
    values = [epoch[name] for epoch in record.epochs if name in epoch]
    return values[-1] if values else None
