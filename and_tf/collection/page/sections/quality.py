"""Photos that are blurred, dark, bright, flat, oddly shaped or tiny."""

from typing import Any

from and_tf.collection.page.context import PageContext
from and_tf.collection.page.photo_files import in_pixels
from and_tf.collection.page.titles import flag_title
from and_tf.collection.quality import MEASURED_BY, Quality, by_severity
from and_tf.report.page.originals import shown_name
from and_tf.report.section import Section, fill

MOST_SHOWN = 10  # of a kind
MOST_BROKEN = 20  # files

TEMPLATE = """
<p>Measured on the pictures themselves, without the encoder. A flag marks what to look at, not what
to throw away: a dark photo may be meant to be dark.</p>
<div class="cards">
{% for kind in kinds %}
{{ page.card(kind.photos|length) }}
<h3>{{ kind.title|capitalize }} <span class="count">{{ "{:,}".format(kind.count) }}
photo{{ "" if kind.count == 1 else "s" }}</span></h3>
{{ page.gallery(kind.photos, kind.title) }}
{% if kind.count > kind.photos|length %}<p class="more">
<a href="#show-finding-{{ kind.key }}">All {{ "{:,}".format(kind.count) }}</a> in the explorer</p>
{% endif %}
</div>
{% endfor %}
</div>
{% if broken %}
<h3>Files that cannot be read <span class="count">{{ "{:,}".format(broken|length) }}</span></h3>
<p>They are left out of everything.</p>
<ul>{% for name, reason in broken[:shown] %}<li>{{ name }}: {{ reason }}</li>{% endfor %}
{% if broken|length > shown %}
<li>and {{ "{:,}".format(broken|length - shown) }} more</li>{% endif %}</ul>
{% endif %}
{% if not kinds %}<p>No photo stands out in this respect.</p>{% endif %}
"""


def quality_section(context: PageContext) -> Section | None:
    """The flagged photos by kind; None if quality was not measured."""
    found = context.findings.quality
    if found is None:
        return None
    kinds = [_kind(context, found, name) for name, flags in found.flags.items() if flags.any()]
    broken = [(shown_name(name), reason) for name, reason in context.collection.broken]
    html = fill(TEMPLATE, kinds=kinds, broken=broken, shown=MOST_BROKEN)
    return Section("quality", "Picture quality", html, link="Quality")


def _kind(context: PageContext, quality: Quality, name: str) -> dict[str, Any]:
    flagged = by_severity(quality, name)
    return {
        "key": name,
        "title": flag_title(name),
        "count": len(flagged),
        "photos": [
            context.photo(i, _measured(quality, name, i)) for i in flagged[:MOST_SHOWN].tolist()
        ],
    }


def _measured(quality: Quality, name: str, index: int) -> str:
    """The measurement on which a flag is based, as text."""
    measured = quality.measurements
    if name == "tiny" and {"width", "height"} <= set(measured):
        width, height = measured["width"][index], measured["height"][index]
        return in_pixels(width, height)
    key = "aspect" if name == "odd_aspect" else MEASURED_BY.get(name, ("", 1))[0]
    return f"{key} {measured[key][index]:.3g}" if key in measured else ""
