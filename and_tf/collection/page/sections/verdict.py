"""The verdict on a collection: what was found, and how far the encoder can be trusted."""

from typing import NamedTuple

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.collection.page.trust import Trust, doubtful_kinds, measure_trust
from and_tf.data.settings import FEW_IMAGES
from and_tf.report.section import Section, fill

TEMPLATE = """
<p class="headline">{{ headline|replace(" %", "\u00a0%") }}</p>
<ul>{% for reason in reasons %}<li>{{ reason }}</li>{% endfor %}</ul>
"""


class Verdict(NamedTuple):
    """The verdict on a collection: `good`, `mixed`, `poor` or `unknown`, and sentences."""

    tone: str
    headline: str
    reasons: list[str]


def verdict_section(context: PageContext) -> Section:
    """How many photos, what was found in them, and how far to trust it."""
    verdict = judge(context, measure_trust(context))
    html = fill(TEMPLATE, headline=verdict.headline, reasons=verdict.reasons)
    css_class = f"verdict {verdict.tone}"
    return Section("verdict", "Verdict", html, is_summary=True, css_class=css_class)


def judge(context: PageContext, trust: Trust | None) -> Verdict:
    """The verdict, including what the labels show about the encoder if there are any."""
    spread = context.spread
    is_collapsed = spread is not None and spread.is_flat and spread.is_line
    headline = f"{_photos(len(context))}: {describe_findings(context)}."
    if trust is not None:
        tone = trust.tone
    else:
        tone = "mixed" if spread is not None and spread.is_narrow else "unknown"
    if tone == "poor":
        headline = f"This encoder suits these photos poorly: trust little of this. {headline}"
    if is_collapsed:
        tone = "poor"
        headline = f"The encoder can hardly tell these photos apart: trust none of this. {headline}"
    reasons = [
        f"Embedded by {context.settings.collection.model or 'the newest run'}.",
        unknown(context) if trust is None else trust.sentence,
        "" if spread is None or is_collapsed or not spread.is_narrow else ALIKE,
        _few(len(context)),
        _doubtful_duplicates(context),
    ]
    return Verdict(tone, headline, [reason for reason in reasons if reason])


def unknown(context: PageContext) -> str:
    """The sentence about the encoder if there are no labels."""
    return (
        "How well this encoder suits these photos cannot be measured without labels: look at the "
        f"random photos and their neighbours below, and trust {doubtful_kinds(context)} as far as "
        "you agree with those neighbours."
    )


ALIKE = (
    "To this encoder the photos look much alike: they hardly differ, or it was trained too little."
)


def describe_encoder(context: PageContext) -> str:
    """The encoder, its state and layer, and the size of the images that it sees."""
    chosen, origin = context.settings.collection, context.collection.origin
    parts = [] if chosen.checkpoint == "last" else [chosen.checkpoint]
    if origin is not None:
        parts += [f"layer {origin.layer}"] if origin.layer else []
        parts.append(f"images of {origin.image_size} pixels")
    details = f" ({', '.join(parts)})" if parts else ""
    return f"{chosen.model or 'the newest run'}{details}"


def describe_findings(context: PageContext) -> str:
    """What was found, in a few words."""
    found, parts = context.findings, []
    if found.duplicates is not None:
        parts.append(
            _count(len(found.duplicates.groups), "group of duplicates", "groups of duplicates")
        )
    if found.outliers is not None:
        parts.append(_count(int(found.outliers.is_outlier.sum()), "outlier", "outliers"))
    if found.quality is not None:
        flags = list(found.quality.flags.values())
        count = int(np.any(flags, axis=0).sum()) if flags else 0
        parts.append(f"{count:,} of doubtful quality" if count else "none of doubtful quality")
    if found.suspect_labels is not None and context.classes:
        count = int(found.suspect_labels.is_suspect.sum())
        parts.append(_count(count, "suspect label", "suspect labels"))
    if found.clusters is not None:
        parts.append(_count(found.clusters.count, "cluster", "clusters"))
    return ", ".join(parts) or "embedded"


def _count(number: int, one: str, many: str) -> str:
    return f"no {many}" if not number else f"{number:,} {one if number == 1 else many}"


def _photos(number: int) -> str:
    return f"{number:,} photo{'' if number == 1 else 's'}"


def _few(count: int) -> str:
    if count >= FEW_IMAGES:
        return ""
    return f"With fewer than {FEW_IMAGES} photos, clusters and outliers are rough."


def _doubtful_duplicates(context: PageContext) -> str:
    found = context.findings.duplicates
    return found.warning if found is not None else ""
