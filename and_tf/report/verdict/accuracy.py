"""Judges a run by kNN accuracy, compared with baselines that need no training."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from and_tf.report.standard_error import error_of_difference, standard_error
from and_tf.report.verdict.evidence import Evidence, Verdict
from and_tf.report.verdict.thresholds import SURE


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a kNN accuracy was measured, and which metadata hold its baselines.

    Attributes:
        classifier, images: by what, and of what, in words.
        raw_pixels: name in run.json of the accuracy of raw pixels.
        at_start: of that of the weights that the run started from; empty for none.
    """

    classifier: str
    images: str
    raw_pixels: str
    at_start: str = ""


# By metric.
PROTOCOLS = {
    "knn_top1": Protocol(
        "weighted kNN", "held-out images", "raw_pixels_knn_top1", "init_knn_top1"
    ),
    "knn_top1_train": Protocol(
        "kNN among the training images", "training images by the others",
        "raw_pixels_knn_top1_train",
    ),
}  # fmt: skip

LEARNED_LABELS = (
    "How good the features are on other images is not known, because no held-out image has a "
    "label, and this method learns those of the training images. Accuracy in training"
)


def judge_accuracy(evidence: Evidence) -> Verdict:
    """Judges by the accuracy named by `evidence.metric`, against the best baseline."""
    name, record = evidence.metric, evidence.record
    protocol, labels = PROTOCOLS[name], evidence.labels_of[name]
    accuracy = evidence.last_stage if evidence.judges_by_last_stage else record.latest(name)
    assert accuracy is not None
    measured = _describe_accuracy(evidence, accuracy)
    if evidence.is_of_learned_labels:
        return Verdict("unknown", f"{LEARNED_LABELS}: {measured}.", [])
    raw = record.metadata.get(protocol.raw_pixels)
    start = record.metadata.get(protocol.at_start)
    tone, comparison = _compare_with_baselines(raw, start, labels, accuracy)
    if evidence.method.fc_holds and not evidence.judges_by_last_stage and tone != "good":
        tone = "unknown"
        comparison = f"By fc, which is not the feature to judge by, {_in_a_sentence(comparison)}"
    reasons = [trend(record.by_round(name), len(labels))]
    if name == "knn_top1":
        reasons.append(evidence.published)
    else:
        reasons.append(
            "No held-out image has a label: these images were trained on, though without labels."
        )
    return Verdict(tone, f"{comparison}: {measured}.", reasons)


def _describe_accuracy(evidence: Evidence, accuracy: float) -> str:
    """How many of the images are classified correctly, and by what."""
    protocol, count = PROTOCOLS[evidence.metric], len(evidence.labels_of[evidence.metric])
    layer = " on the last stage" if evidence.judges_by_last_stage else ""
    return (
        f"{protocol.classifier}{layer} names the class of {accuracy:.1f} % of {count:,} "
        f"{protocol.images} (standard error {standard_error(accuracy, count):.1f} points)"
    )


def _in_a_sentence(text: str) -> str:
    """The text with its first letter in lower case."""
    return text[:1].lower() + text[1:]


def _compare_with_baselines(
    raw: float | None, start: float | None, labels: np.ndarray, accuracy: float
) -> tuple[str, str]:
    """Tone and a sentence comparing with raw pixels, the start and the most frequent class.

    The tone is that of the comparison with the best one of them.
    """
    largest = float(100 * np.bincount(labels).max() / len(labels))
    known = {"always naming the largest class": largest}
    if raw is not None:
        known["the same kNN on raw pixels"] = raw
    if start is not None:
        known["the same kNN with the weights it began with"] = start
    strongest, *others = sorted(known, key=lambda name: -known[name])
    gain = accuracy - known[strongest]
    first = f"{strongest} ({known[strongest]:.1f} %)"
    than = "".join(f", and than {name} ({known[name]:.1f} %)" for name in others)
    error = error_of_difference(accuracy, known[strongest], len(labels))
    if abs(gain) <= SURE * error:
        return "mixed", f"Not clearly different from {first}{_beside(known, others)}"
    if gain > 0:
        return "good", f"Better than {first} by {gain:.1f} points{than}"
    return "poor", f"Worse than {first} by {-gain:.1f} points{_beside(known, others)}"


def _beside(known: Mapping[str, float], others: Sequence[str]) -> str:
    return "".join(f"; {name} gives {known[name]:.1f} %" for name in others)


def trend(by_round: Mapping[int, float], count: int) -> str:
    """A sentence on whether accuracy is still rising; empty with fewer than two rounds.

    Args:
        by_round: top-1 in percent, the last of each round.
        count: images that it was measured on.
    """
    if len(by_round) < 2:
        return ""
    rounds = sorted(by_round)
    previous, last = (by_round[number] for number in rounds[-2:])
    best = max(rounds, key=lambda number: by_round[number])
    change, error = last - previous, error_of_difference(last, previous, count)
    details = f"{change:+.1f} points from round {rounds[-2]} to {rounds[-1]}, error {error:.1f}"
    drop = by_round[best] - last
    if drop > SURE * error_of_difference(last, by_round[best], count):
        return f"Falling: {drop:.1f} points below round {best}, the best ({details})."
    if change > SURE * error:
        return f"Still rising: {details}. More rounds or epochs may add to it."
    return f"Level over the last rounds within the error: {details}."


def describe_fc(evidence: Evidence) -> str:
    """What `fc` holds instead of features, and how to judge these; empty for most methods."""
    holds = evidence.method.fc_holds
    if not holds:
        return ""
    sentence = f"The layer fc holds {holds}, and is not the feature of this method"
    if evidence.last_stage is None:
        return (
            f"{sentence}: the last stage is, which exports return. evaluate.py with classifier=knn "
            "and layer=auto measures it; a new report then judges by it."
        )
    by_fc = evidence.record.latest("knn_top1")
    return f"{sentence}: kNN on it names the class of {by_fc:.1f} %." if by_fc else f"{sentence}."
