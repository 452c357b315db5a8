"""What can be said about a run whose accuracy is unknown."""

from collections.abc import Sequence

from and_tf.data.settings import FEW_IMAGES
from and_tf.report.sentences import describe_nearest
from and_tf.report.verdict.evidence import Evidence, Verdict


def judge_without_labels(evidence: Evidence) -> Verdict:
    """Judges only by the spread of the embeddings; a collapse is detected by `has_collapsed`."""
    record, spread = evidence.record, evidence.spread
    tone, headline = "unknown", "Without labels the accuracy of the features cannot be known"
    if spread.is_narrow and not spread.is_point and not evidence.method.fc_holds:
        tone = "mixed"
        headline += "; the embeddings are close together, as after too little training"
    elif not spread.is_point:
        headline += "; nothing points to a collapse"
    reasons = [
        describe_overlap(record.evaluations, describe_nearest(record.metadata.get("images"))),
        "No metric here can tell whether near images belong together for your purpose: "
        "look at the neighbours of some images, or label some held-out ones (sub-folders, or "
        "y_test) and evaluate the run.",
    ]
    return Verdict(tone, f"{headline}.", reasons)


def describe_overlap(evaluations: Sequence[dict], nearest: str) -> str:
    """A sentence on how many neighbours stayed the same; empty before the second evaluation.

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


def describe_size(images: int | None) -> str:
    """Says that a data set is too small to learn from, and what to do; empty for larger ones.

    Args:
        images: number of training images; None if unknown.
    """
    if images is None or images >= FEW_IMAGES:
        return ""
    return (
        f"{images:,} images are too few to learn features from: below about {FEW_IMAGES} the "
        "network mostly learns to tell these very photos apart. Start from pretrained weights, or "
        "add images."
    )
