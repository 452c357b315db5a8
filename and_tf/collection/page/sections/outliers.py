"""Photos that are unlike all others."""

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.report.section import Section, fill

MOST_SHOWN = 20

TEMPLATE = """
<p>{{ sentence }} The score below each photo is the distance to its {{ ordinal }} nearest photo,
relative to what is usual in this collection; it is about 1 for most. An outlier may be a stray
file, a rare subject or simply the only photo of its kind.</p>
{{ page.gallery(photos, "Outliers, the most unusual first") }}
{% if flagged %}<p class="more"><a href="#show-finding-outlier">
{{- "Show it" if flagged == 1 else "Show all {:,}".format(flagged) }} in the explorer</a>, which can
be ordered by the score.</p>{% endif %}
"""


def outliers_section(context: PageContext) -> Section | None:
    """The outliers, or else the most unusual photos; None if they were not searched for."""
    found = context.findings.outliers
    if found is None or not len(found.scores):
        return None
    order = np.argsort(-found.scores, kind="stable")
    flagged = order[found.is_outlier[order]]
    shown = flagged[:MOST_SHOWN] if len(flagged) else order[:6]
    html = fill(
        TEMPLATE,
        sentence=_sentence(len(flagged), len(shown)),
        flagged=len(flagged),
        ordinal=_ordinal(found.k),
        photos=[context.photo(i, f"{found.scores[i]:.2f}") for i in shown.tolist()],
    )
    return Section("outliers", "Outliers", html)


def _sentence(flagged: int, shown: int) -> str:
    if not flagged:
        return f"No photo stands out; shown are the {shown} most unusual."
    photos = "1 photo is" if flagged == 1 else f"{flagged:,} photos are"
    rest = f"; shown are the {shown} most unusual" if shown < flagged else ""
    return f"{photos} far from all others{rest}."


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{ending}"
