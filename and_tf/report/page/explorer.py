"""The explorer of a page: a grid of images with filters, the neighbours of the chosen one, a map.

page.js makes it work, from the data of this module's `Explorer`, as JSON in the page.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np
from markupsafe import Markup

from and_tf.report.page.originals import compact, shown_name
from and_tf.report.section import fill

PER_PAGE = 240  # images shown at once in the grid

TEMPLATE = """
<noscript><p class="note">The explorer needs JavaScript; everything else on this page works without.
</p></noscript>
<div class="explorer">
<form class="filters" id="filters" aria-label="Filters" data-needs-script hidden>
<label for="name-filter">Name contains
<input type="search" id="name-filter" autocomplete="off" spellcheck="false"></label>
{% for facet in facets %}<label for="{{ facet.key }}-filter">{{ facet.title }}
<select class="facet" id="{{ facet.key }}-filter"><option value="-1">all</option>
{%- for name in facet.names %}<option value="{{ loop.index0 }}">{{ name }}
{%- if facet.counts %} ({{ "{:,}".format(facet.counts[loop.index0]) }}){% endif %}</option>
{%- endfor %}
</select></label>{% endfor %}
{% if marks %}<label for="finding-filter">Finding
<select id="finding-filter"><option value="">any or none</option>
{%- for mark in marks %}<option value="{{ mark.key }}">{{ mark.title }} (
{{- "{:,}".format(mark.images|length) }})</option>{% endfor %}
</select></label>{% endif %}
{% if orders %}<label for="order">Order
<select id="order"><option value="-1">by name</option>
{%- for order in orders %}<option value="{{ loop.index0 }}">{{ order.title }}, {{ order.first }}
 first</option>{% endfor %}
</select></label>{% endif %}
{% if has_range %}<fieldset class="range" aria-label="Entropy">
<label for="lowest">Entropy from percentile
<input type="range" id="lowest" min="0" max="100" step="5" value="0"></label>
<label for="highest">to percentile
<input type="range" id="highest" min="0" max="100" step="5" value="100"></label>
<output id="range-text" for="lowest highest"></output>
</fieldset>{% endif %}
{% if has_labels %}<label class="check" for="wrong-only">
<input type="checkbox" id="wrong-only">nearest is of another {{ class_noun }}</label>{% endif %}
<output id="shown" aria-live="polite"></output>
</form>
<div class="detail" id="detail" data-needs-script hidden>
<div class="selected"><div id="detail-picture"></div>
<div><h3 id="detail-name" tabindex="-1"></h3><p id="detail-text" aria-live="polite"></p>
{% if has_originals %}<p><a id="detail-original" target="_blank" rel="noopener">Open the file</a>
</p>{% endif %}</div></div>
<ol class="near" id="detail-near" aria-label="Nearest images, with their cosine similarity"></ol>
</div>
<div data-needs-script hidden>
<div class="tiles" id="tiles" role="group" aria-label="{{ grid_label }}"></div>
<nav class="pages" id="pages" aria-label="Pages of the grid" hidden>
<button type="button" id="previous">Previous</button><output id="page-text"></output>
<button type="button" id="next">Next</button></nav>
</div>
{% if map %}<figure>
<div class="map-frame"><svg class="map" id="map" viewBox="0 0 100 100" role="img"
 aria-labelledby="map-title">
<title id="map-title">Map of {{ map.count }} images by t-SNE; images with similar embeddings lie
near each other.</title>
{% for point in map.back %}
<circle class="back {{ point.colour }}" cx="{{ point.x }}" cy="{{ point.y }}" r=".55"/>
{% endfor %}
{% for point in map.pool %}
<circle class="pool {{ point.colour }}" cx="{{ point.x }}" cy="{{ point.y }}"
 r="{{ map.radius }}"/>
{% endfor %}
</svg><div id="map-preview" hidden></div></div>
<ul class="legend">{% for item in map.legend %}
<li><span class="{{ item.colour }}"></span>{{ item.name }}</li>{% endfor %}</ul>
<figcaption><b>Embedding map.</b> t-SNE by cosine distance
(<a href="https://jmlr.org/papers/v9/vandermaaten08a.html">van der Maaten and Hinton 2008</a>): near
points are alike, large distances mean little. {{ map.colours }} {{ map.hint }}</figcaption>
</figure>{% endif %}
</div>
<script type="application/json" id="explorer-data">{{ data }}</script>
"""


@dataclasses.dataclass(frozen=True)
class Facet:
    """A property with one value per image, such as its cluster.

    Attributes:
        key: of its filter.
        title: of its filter.
        names: of the values.
        values: (T,) int, indices into names, -1 for none.
    """

    key: str
    title: str
    names: Sequence[str]
    values: np.ndarray

    @property
    def counts(self) -> list[int]:
        """How many images have each value."""
        known = self.values[self.values >= 0]
        return np.bincount(known, minlength=len(self.names)).tolist()


class Mark(NamedTuple):
    """Images with a finding, such as blur: key, title, indices."""

    key: str
    title: str
    images: list[int]


class Order(NamedTuple):
    """A number per image by which the grid can be sorted; `first` is highest or lowest."""

    title: str
    values: np.ndarray
    first: str


@dataclasses.dataclass(frozen=True)
class Explorer:
    """What an explorer shows: T images, of which the first p can be chosen.

    Attributes:
        names: T names.
        near: (p, k) int, numbers of the nearest images, nearest first.
        cosines: (p, k) float, their similarities.
        thumbnails: where the pictures are, for page.js: `columns` of a sheet in the style
            `.sheet`, or `addresses`, or `folder` and `digits` of numbered files.
        labels: (T,) int, number of each image's class, -1 for none; or None.
        classes: names of the classes.
        urls: T addresses of the files; None if images are not files.
        facets, marks, orders: what the grid can be filtered and sorted by, apart from names.
        texts: p descriptions of the images; None to derive them from facets and marks.
        ranges: (p,) entropy in nats and its rank in 0..1, for sliders; or None.
        map: as from `map_points`; or None.
        map_images: numbers of the images that the map's large points represent.
        noun, class_noun: what the images and their classes are called.
        per_page: images shown at once in the grid.
        shows_originals: whether the chosen image is shown from its file.
    """

    names: Sequence[str]
    near: np.ndarray
    cosines: np.ndarray
    thumbnails: Mapping[str, Any]
    labels: np.ndarray | None = None
    classes: Sequence[str] = ()
    urls: Sequence[str] | None = None
    facets: Sequence[Facet] = ()
    marks: Sequence[Mark] = ()
    orders: Sequence[Order] = ()
    texts: Sequence[str] | None = None
    ranges: tuple[np.ndarray, np.ndarray] | None = None
    map: Mapping[str, Any] | None = None
    map_images: Sequence[int] = ()
    noun: str = "images"
    class_noun: str = "class"
    per_page: int = PER_PAGE
    shows_originals: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """What page.js needs, in plain lists and numbers; cosines in thousandths."""
        names = [shown_name(name) for name in self.names]
        return {
            "names": names,
            "near": np.asarray(self.near).tolist(),
            "cosines": np.rint(1000 * np.asarray(self.cosines)).astype(int).tolist(),
            "thumbnails": dict(self.thumbnails),
            "labels": None if self.labels is None else np.asarray(self.labels).tolist(),
            "classes": list(self.classes),
            "originals": None if self.urls is None else compact(self.urls, names),
            "facets": [
                {
                    "key": f.key,
                    "title": f.title,
                    "names": list(f.names),
                    "values": f.values.tolist(),
                }
                for f in self.facets
            ],
            "marks": [mark._asdict() for mark in self.marks],
            "orders": [
                {"title": o.title, "values": _rounded(o.values), "first": o.first}
                for o in self.orders
            ],
            "texts": self.texts,
            "ranges": None if self.ranges is None else [_rounded(each) for each in self.ranges],
            "map": [int(image) for image in self.map_images],
            "noun": self.noun,
            "per_page": self.per_page,
            "shows_originals": self.shows_originals,
        }


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def explorer_html(explorer: Explorer, grid_label: str) -> Markup:
    """The explorer as the HTML of a section.

    Args:
        explorer: what it shows.
        grid_label: what the grid holds, for screen readers.
    """
    return fill(
        TEMPLATE,
        facets=explorer.facets,
        marks=explorer.marks,
        orders=explorer.orders,
        has_range=explorer.ranges is not None,
        has_labels=explorer.labels is not None and bool(explorer.classes),
        has_originals=explorer.urls is not None,
        map=explorer.map,
        class_noun=explorer.class_noun,
        grid_label=grid_label,
        data=jinja2.utils.htmlsafe_json_dumps(explorer.data),
    )
