"""The verdict: one sentence on how good a run is, and a few that support it."""

from and_tf.report.record import Record
from and_tf.report.spread import describe_spread
from and_tf.report.verdict.accuracy import describe_fc, judge_accuracy
from and_tf.report.verdict.collapse import COLLAPSED, has_collapsed
from and_tf.report.verdict.evidence import Evidence, Verdict
from and_tf.report.verdict.neighbours import (
    describe_consistency,
    describe_neighbours,
    describe_stability,
)
from and_tf.report.verdict.without_labels import describe_size, judge_without_labels


def judge(evidence: Evidence) -> Verdict:
    """Is a run good, and compared with what?"""
    record, method = evidence.record, evidence.method
    verdict = judge_accuracy(evidence) if evidence.metric else judge_without_labels(evidence)
    is_collapsed = has_collapsed(evidence, verdict.tone)
    neighbours = describe_neighbours(evidence)
    is_meant_to_be_narrow = bool(method.fc_holds) or method.learns_from_labels
    reasons = [
        *verdict.reasons,
        describe_fc(evidence),
        describe_spread(evidence.spread, warn=not is_collapsed and not is_meant_to_be_narrow),
        *([] if neighbours else [describe_consistency(record), describe_stability(record)]),
        _describe_size(record),
    ]
    return Verdict(
        tone="poor" if is_collapsed else verdict.tone,
        headline=_progress(evidence) + COLLAPSED * is_collapsed + verdict.headline,
        reasons=[reason for reason in reasons if reason],
        neighbours=neighbours,
    )


def _progress(evidence: Evidence) -> str:
    """How far training had come if it is not finished, or that there was none."""
    record = evidence.record
    if record.settings.keeps_random_weights:
        return "Untrained: these are random weights. "
    if record.is_finished:
        return ""
    epochs = f"{record.epochs_done:,} of {record.plan.total_epochs:,} epochs"
    if evidence.checkpoint != "last":
        return f"Checkpoint {evidence.checkpoint}, after {epochs}. "
    return f"Unfinished, after {epochs}. "


def _describe_size(record: Record) -> str:
    """`describe_size` for a run that learned only from its own images."""
    if record.settings.encoder.init or record.settings.keeps_random_weights:
        return ""
    return describe_size(record.metadata.get("images"))
