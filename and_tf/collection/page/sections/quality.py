"""Photos that are blurred, dark, bright, flat, oddly shaped or tiny."""

from typing import Any

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.collection.page.titles import MEASURED_BY, flag_title
from and_tf.collection.quality import Quality
from and_tf.report.section import Section, fill

MOST_SHOWN = 10  # of a kind

TEMPLATE = """
<p>Measured on the pictures themselves, without the encoder. A flag marks what to look at, not what
to throw away: a dark photo may be meant to be dark.</p>
{% for kind in kinds %}
<h3>{{ kind.title|capitalize }} <span class="count">{{ "{:,}".format(kind.count) }}
photo{{ "" if kind.count == 1 else "s" }}</span></h3>
{{ page.gallery(kind.photos, kind.title) }}
{% if kind.count > kind.photos|length %}<p class="more">
<a href="#show-finding-{{ kind.key }}">All {{ "{:,}".format(kind.count) }}</a> in the explorer</p>
{% endif %}
{% endfor %}
{% if not kinds %}<p>No photo is remarkable in this respect.</p>{% endif %}
"""


def quality_section(context: PageContext) -> Section | None:
    """The flagged photos by kind; None where quality was not measured."""
    found = context.findings.quality
    if found is None:
        return None
    kinds = [_kind(context, found, name) for name, flags in found.flags.items() if flags.any()]
    return Section("quality", "Picture quality", fill(TEMPLATE, kinds=kinds), link="Quality")


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


def by_severity(quality: Quality, name: str) -> np.ndarray:
    """(m,) int, the photos with a flag, the most remarkable first."""
    flagged = np.flatnonzero(quality.flags[name])
    values = _severity(quality, name)
    return flagged if values is None else flagged[np.argsort(-values[flagged], kind="stable")]


def _severity(quality: Quality, name: str) -> np.ndarray | None:
    """(N,) float, larger for what is more remarkable; None where nothing is known of the flag."""
    measured = quality.measurements
    if name == "tiny" and {"width", "height"} <= set(measured):
        return -np.minimum(measured["width"], measured["height"])
    if name == "odd_aspect" and "aspect" in measured:
        return np.abs(np.log(np.maximum(measured["aspect"], 1e-6)))
    key, sign = MEASURED_BY.get(name, ("", 1))
    return sign * measured[key] if key in measured else None


def _measured(quality: Quality, name: str, index: int) -> str:
    """The measurement that a flag rests on, in a few words."""
    measured = quality.measurements
    if name == "tiny" and {"width", "height"} <= set(measured):
        width, height = measured["width"][index], measured["height"][index]
        return f"{width:.0f} \N{MULTIPLICATION SIGN} {height:.0f}"
    key = "aspect" if name == "odd_aspect" else MEASURED_BY.get(name, ("", 1))[0]
    return f"{key} {measured[key][index]:.3g}" if key in measured else ""
