"""The verdict: one line on what a run is worth and a few on what that rests on."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from and_tf.data.settings import FEW_IMAGES
from and_tf.report.comparison import comparison_of
from and_tf.report.context import ReportContext
from and_tf.report.control import Control, find_control
from and_tf.report.measured import knn_of_last_stage, names_of_images
from and_tf.report.neighbour_evidence import (
    describe_consistency,
    describe_neighbours,
    describe_stability,
)
from and_tf.report.record import Record
from and_tf.report.section import Section, fill
from and_tf.report.sentences import describe_nearest
from and_tf.report.spread import Spread, describe_spread, measure_spread
from and_tf.report.standard_error import error_of_difference, standard_error
from and_tf.report.thresholds import SURE

TEMPLATE = """
<p class="headline">{{ verdict.headline|replace(" %", "\u00a0%") }}</p>
<ul>{% for reason in verdict.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>
{% if verdict.neighbours %}<h3>{{ question }}</h3>
<ul>{% for sentence in verdict.neighbours %}<li>{{ sentence }}</li>{% endfor %}</ul>{% endif %}
"""

STYLE = ".verdict h3 { margin: 1rem 0 -.4rem; }"

QUESTION = "Did the neighbours pay?"


def verdict_section(context: ReportContext) -> Section:
    """What the run is worth, and compared with what."""
    spread = measure_spread(context.reference.embeddings)
    verdict = judge(
        context.record,
        context.held_out_labels,
        spread,
        comparison_of(context).describe_knn(),
        context.knn_images.query_labels(context.train.labels),
        context.checkpoint,
        knn_of_last_stage(context.record, names_of_images(context.train, context.held_out)),
        find_control(context.run, context.record),
    )
    verdict.reasons.extend(context.remarks)
    html = fill(TEMPLATE, verdict=verdict, question=QUESTION)
    css_class = f"verdict {verdict.tone}"
    return Section("verdict", "Verdict", html, is_summary=True, css_class=css_class, style=STYLE)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a run is worth.

    Attributes:
        tone: `good`, `mixed`, `poor` or `unknown`.
        headline: one sentence.
        reasons: sentences on what it rests on.
        neighbours: sentences on whether training with neighbours may have paid; empty without.
    """

    tone: str
    headline: str
    reasons: list[str]
    neighbours: list[str] = dataclasses.field(default_factory=list)


def judge(
    record: Record,
    labels: np.ndarray | None,
    spread: Spread,
    published: str = "",
    train_labels: np.ndarray | None = None,
    checkpoint: str = "last",
    last_stage: float | None = None,
    control: Control | None = None,
) -> Verdict:
    """Is it good, and compared with what?

    Args:
        record: the run.
        labels: (n,) int, of the held-out images that have one; None or empty where none has.
        spread: of the embeddings of the reported checkpoint.
        published: a sentence on the published result, or nothing.
        train_labels: (m,) int, of the training images that `knn_top1_train` is of; it stands in
            where there is no accuracy of held-out images.
        checkpoint: which one is reported on.
        last_stage: top-1 in percent of the same kNN on the last stage, where it was measured; for a
            method that is not to be judged by `fc`.
        control: the run without neighbours that is otherwise the same.
    """
    method = record.settings.method
    last_stage = last_stage if method.fc_holds else None
    # Embeddings that tell classes apart are not all equal, however close they lie.
    may_have_collapsed = spread.is_flat or spread.is_line
    if _is_measured(record, "knn_top1", labels):
        verdict = _with_labels(record, labels, "knn_top1", last_stage)
        verdict.reasons.append(published)
        is_collapsed = verdict.tone != "good" and may_have_collapsed
    elif _is_measured(record, "knn_top1_train", train_labels):
        verdict = _with_labels(record, train_labels, "knn_top1_train")
        is_collapsed = verdict.tone != "good" and may_have_collapsed
    else:
        is_collapsed = spread.is_flat and spread.is_line
        verdict = _without_labels(record, spread, is_collapsed)
    is_collapsed = is_collapsed and not method.fc_holds
    tone, headline = verdict.tone, verdict.headline
    if is_collapsed:
        tone = "poor"
        headline = f"The embeddings have collapsed: images can hardly be told apart. {headline}"
    headline = _progress(record, checkpoint) + headline
    counts = {"knn_top1": labels, "knn_top1_train": train_labels}
    neighbours = describe_neighbours(
        record, {name: len(of) for name, of in counts.items() if of is not None}, control
    )
    reasons = [
        *verdict.reasons,
        _describe_fc(record, last_stage),
        describe_spread(spread, is_collapsed or bool(method.fc_holds)),
        *([] if neighbours else [describe_consistency(record), describe_stability(record)]),
        _describe_size(record),
    ]
    return Verdict(tone, headline, [reason for reason in reasons if reason], neighbours)


def _describe_fc(record: Record, last_stage: float | None) -> str:
    """What `fc` holds in place of features, and how to judge these."""
    holds = record.settings.method.fc_holds
    if not holds:
        return ""
    sentence = f"The layer fc holds {holds}, and is not the feature of this method"
    if last_stage is not None:
        by_fc = record.latest("knn_top1")
        return (
            f"{sentence}: kNN on it names the class of {by_fc:.1f} %." if by_fc else f"{sentence}."
        )
    return (
        f"{sentence}: the last stage is, which exports give. evaluate.py with classifier=knn and "
        "layer=auto measures it; a new report then judges by it."
    )


def _progress(record: Record, checkpoint: str) -> str:
    """How far training had come, where that is not the end, or that there was none."""
    if record.settings.keeps_random_weights:
        return "Untrained: these are random weights. "
    if record.is_finished:
        return ""
    epochs = f"{record.epochs_done:,} of {record.plan.total_epochs:,} epochs"
    if checkpoint != "last":
        return f"Checkpoint {checkpoint}, after {epochs}. "
    return f"Unfinished, after {epochs}. "


def _is_measured(record: Record, name: str, labels: np.ndarray | None) -> bool:
    return record.latest(name) is not None and labels is not None and len(labels) > 0


def _with_labels(
    record: Record, labels: np.ndarray | None, name: str, last_stage: float | None = None
) -> Verdict:
    assert labels is not None
    method, knn_of_fc = record.settings.method, record.latest(name) or 0.0
    accuracy = knn_of_fc if last_stage is None else last_stage
    count, error = len(labels), standard_error(accuracy, len(labels))
    knn, images = _CLASSIFIED[name]
    layer = "" if last_stage is None else " on the last stage"
    measured = (
        f"{knn}{layer} names the class of {accuracy:.1f} % of {count:,} {images} "
        f"(standard error {error:.1f} points)"
    )
    if method.learns_from_labels and name == "knn_top1_train":
        return Verdict("unknown", f"{_LEARNED_LABELS}: {measured}.", [])
    raw = record.metadata.get(_RAW_PIXELS[name])
    start = record.metadata.get(_AT_START.get(name, ""))
    tone, comparison = _compare_with_baselines(raw, start, labels, accuracy)
    if method.fc_holds and last_stage is None and tone != "good":
        tone = "unknown"
        comparison = f"By fc, which is not the feature to judge by, {_in_a_sentence(comparison)}"
    reasons = [trend(record.by_round(name), count)]
    if name == "knn_top1_train":
        reasons.append(
            "No held-out image has a label: these images were trained on, though without labels."
        )
    return Verdict(tone, f"{comparison}: {measured}.", reasons)


def _in_a_sentence(text: str) -> str:
    """Without the capital of its first word."""
    return text[:1].lower() + text[1:]


_LEARNED_LABELS = (
    "What the features are worth on other images is not known, for no held-out image has a label, "
    "and this method learns those of the training images. Accuracy in training"
)


# By which classifier, and of which images, each accuracy is.
_CLASSIFIED = {
    "knn_top1": ("weighted kNN", "held-out images"),
    "knn_top1_train": ("kNN among the training images", "training images by the others"),
}


# The accuracy of raw pixels by the same protocol, in run.json.
_RAW_PIXELS = {"knn_top1": "raw_pixels_knn_top1", "knn_top1_train": "raw_pixels_knn_top1_train"}


# That of the weights that a run started from, in run.json.
_AT_START = {"knn_top1": "init_knn_top1"}


def _compare_with_baselines(
    raw: float | None, start: float | None, labels: np.ndarray, accuracy: float
) -> tuple[str, str]:
    """Tone and sentence beside raw pixels, the start and always naming the most frequent class.

    The tone is that of the comparison with the best one of them.
    """
    largest = float(100 * np.bincount(labels).max() / len(labels))
    known = {"always naming the largest class": largest}
    if raw is not None:
        known["the same kNN on raw pixels"] = raw
    if start is not None:
        known["the same kNN by the weights it began with"] = start
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
    """Whether accuracy still rises, in a sentence; empty with fewer than two rounds.

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


def _without_labels(record: Record, spread: Spread, is_collapsed: bool) -> Verdict:
    tone, headline = "unknown", "Without labels the accuracy of the features cannot be known"
    if spread.is_narrow and not is_collapsed and not record.settings.method.fc_holds:
        tone = "mixed"
        headline += "; the embeddings lie close together, as after too little training"
    elif not is_collapsed:
        headline += "; nothing points to a collapse"
    reasons = [
        describe_overlap(record.evaluations, describe_nearest(record.metadata.get("images"))),
        "What no metric here can say is whether near images belong together for your purpose: "
        "look at the neighbours of some images, or label some held-out ones (sub-folders, or "
        "y_test) and evaluate the run.",
    ]
    return Verdict(tone, f"{headline}.", reasons)


def _describe_size(record: Record) -> str:
    """`describe_size` of a run that learned from its images alone."""
    if record.settings.encoder.init or record.settings.keeps_random_weights:
        return ""
    return describe_size(record.metadata.get("images"))


def describe_size(images: int | None) -> str:
    """That a set is too small to learn from, and what to do; empty for larger ones.

    Args:
        images: that were trained on; None where it is not known.
    """
    if images is None or images >= FEW_IMAGES:
        return ""
    return (
        f"{images:,} images are too few to learn features from: below about {FEW_IMAGES} the "
        "network mostly learns to tell these very photos apart. Start from pretrained weights, or "
        "add images."
    )


def describe_overlap(evaluations: Sequence[dict], nearest: str) -> str:
    """How many neighbours stayed lately, in a sentence; empty before the second evaluation.

    Args:
        evaluations: records of metrics.jsonl.
        nearest: from `describe_nearest`.
    """
    measured = [record for record in evaluations if "neighbours_kept" in record]
    if not measured:
        return ""
    last = measured[-1]
    sentence = (
        f"Of the {nearest} of each image {last['neighbours_kept']:.0f} % stayed from the "
        f"previous evaluation to that of epoch {last['epoch']}"
    )
    if len(measured) > 1:
        before = measured[-2]
        sentence += f" ({before['neighbours_kept']:.0f} % to that of epoch {before['epoch']})"
    return f"{sentence}. Most stay where neighbourhoods have settled or the learning rate is low."
