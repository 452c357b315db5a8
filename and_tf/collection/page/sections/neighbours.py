"""Random photos, each with its nearest neighbours: what the encoder considers similar."""

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.report.page.photos import Line
from and_tf.report.section import Section, fill

ROWS = 12
NEIGHBOURS = 8

TEMPLATE = """
<p>{{ "All" if is_all else "Random" }} photos, not hand-picked, each followed by its nearest
others, with rank and cosine similarity. This is the quickest way to see what the encoder considers
similar. Choose any photo to see its own neighbours in the explorer.
{% if has_classes %}Framed, and marked with a cross: neighbours from another folder.{% endif %}</p>
{{ page.lines(lines) }}
"""


def neighbours_section(context: PageContext) -> Section | None:
    """Random photos with their neighbours; None for a single photo."""
    if not context.collection.neighbours.shape[1]:
        return None
    rng = np.random.default_rng(context.settings.collection.seed)
    chosen = np.sort(rng.permutation(len(context))[:ROWS])
    lines = [Line(context.photo(i), context.near(i, NEIGHBOURS)) for i in chosen.tolist()]
    html = fill(
        TEMPLATE,
        lines=lines,
        is_all=len(context) <= ROWS,
        has_classes=bool(context.classes),
    )
    return Section("neighbours", "Photos and their neighbours", html, link="Neighbours")
