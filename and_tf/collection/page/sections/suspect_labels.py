"""Photos in a different folder from their neighbours."""

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.collection.suspect_labels import SuspectLabels
from and_tf.report.page.photos import Line
from and_tf.report.section import Section, fill

MOST_SHOWN = 12
NEIGHBOURS = 6

TEMPLATE = """
{% if count %}
<p>{{ "{:,}".format(count) }} photo{{ " is" if count == 1 else "s are" }} in a different folder from
the one that their neighbours suggest, the clearest first; below each are its folder and the one
where its neighbours would put it. The vote is the encoder's: where it is weak, so are its
suspicions.</p>
{{ page.lines(lines) }}
{% if count > lines|length %}<p class="more"><a href="#show-finding-suspect_label">All
{{ "{:,}".format(count) }}</a> in the explorer</p>{% endif %}
{% else %}<p>No photo is clearly in a different folder from its neighbours.</p>{% endif %}
"""


def suspect_labels_section(context: PageContext) -> Section | None:
    """The suspect labels; None if photos have no labels."""
    found = context.findings.suspect_labels
    if found is None or not context.classes:
        return None
    suspects = clearest(found)
    html = fill(
        TEMPLATE,
        count=len(suspects),
        lines=[_line(context, found, i) for i in suspects[:MOST_SHOWN].tolist()],
    )
    return Section("suspect-labels", "Suspect labels", html)


def clearest(found: SuspectLabels) -> np.ndarray:
    """(m,) int, the suspects, the largest margin first."""
    suspects = np.flatnonzero(found.is_suspect)
    return suspects[np.argsort(-found.margin[suspects], kind="stable")]


def _line(context: PageContext, found: SuspectLabels, index: int) -> Line:
    suggested = context.classes[int(found.suggested[index])]
    return Line(context.photo(index), context.near(index, NEIGHBOURS), f"suggested {suggested}")
