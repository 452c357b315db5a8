"""Groups of near-duplicates, and which photo of each to keep."""

from typing import Any

from and_tf.collection.duplicates.groups import Group
from and_tf.collection.page.context import PageContext
from and_tf.collection.page.photo_files import describe_file
from and_tf.report.page.originals import shown_name
from and_tf.report.section import Section, fill

MOST_SHOWN = 40  # groups; the explorer shows all
MOST_PHOTOS = 12  # of one group

TEMPLATE = """
{% if total %}
<p>{{ "{:,}".format(total) }} group{{ "" if total == 1 else "s" }} of photos that show the
same thing, {{ "{:,}".format(images) }} photos in all; keeping one of each group would leave
{{ "{:,}".format(images - total) }} fewer. The one to keep has the most pixels, is the sharpest or
the largest file; look before you delete anything. The encoder proposes pairs with
a cosine similarity of at least {{ "%.4g"|format(threshold) }}.</p>
{% if warning %}<p><strong>Note:</strong> {{ warning }}</p>{% endif %}
{% if moved_to %}<p>All but the ones to keep were moved to {{ moved_to }} once this page was
written, and the links lead there; symbolic links among the photos stay.</p>
{% else %}{{ page.commands(commands) }}{% endif %}
<div class="cards">
{% for group in groups %}
{{ page.card(group.photos|length) }}
<h3>{{ group.title }} <span class="count">{{ group.reason }}, similarity
{{ "%.3f"|format(group.similarity) }}</span></h3>
{{ page.gallery(group.photos, group.title) }}
{% if group.left_out %}<p class="note">and {{ group.left_out }} more</p>{% endif %}
</div>
{% endfor %}
</div>
{% if total > groups|length %}<p class="more"><a href="#show-finding-duplicate">All photos of the
{{ "{:,}".format(total) }} groups</a> are in the explorer; here are the largest
{{ groups|length }}.</p>{% endif %}
{% else %}<p>No two photos show the same thing: none are equal or look equal, and none of the pairs
that the encoder proposes, with a cosine similarity of at least {{ "%.4g"|format(threshold) }}, is a
copy.</p>
{% if warning %}<p><strong>Note:</strong> {{ warning }}</p>{% endif %}
{% endif %}
"""


def duplicates_section(context: PageContext) -> Section | None:
    """The groups of duplicates; None if they were not searched for."""
    found = context.findings.duplicates
    if found is None:
        return None
    html = fill(
        TEMPLATE,
        total=len(found.groups),
        images=sum(len(group.members) for group in found.groups),
        threshold=found.threshold,
        warning=found.warning,
        moved_to=None if context.moved_to is None else shown_name(str(context.moved_to)),
        commands=context.commands_of("duplicates"),
        groups=[
            _group(context, number, group)
            for number, group in enumerate(found.groups[:MOST_SHOWN], 1)
        ],
    )
    return Section("duplicates", "Duplicates", html)


def _group(context: PageContext, number: int, group: Group) -> dict[str, Any]:
    members = [group.keep, *(member for member in group.members if member != group.keep)]
    photos = [
        context.photo(i, describe_file(context, i), is_kept=i == group.keep)
        for i in members[:MOST_PHOTOS]
    ]
    return {
        "title": f"Group {number}",
        "reason": group.reason,
        "similarity": group.similarity,
        "photos": photos,
        "left_out": len(members) - len(photos),
    }
