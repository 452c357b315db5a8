"""The explorer: some training images, their neighbours, and a map of all."""

from typing import Any

import jinja2
import numpy as np

from and_tf.data.subsets import evenly_spaced
from and_tf.report.context import ReportContext
from and_tf.report.embedding_map import map_points
from and_tf.report.record import anchor_since
from and_tf.report.sample import nearest_others
from and_tf.report.section import Section, fill
from and_tf.report.thumbnails import sheet, sheet_side

POOL = 240  # images in the grid
NEIGHBOURS = 8  # of each

TEMPLATE = """
<p>{{ description }}</p>
<noscript><p class="note">The explorer needs JavaScript; everything else on this page does without.
</p></noscript>
<div class="explorer">
<form class="filters" id="filters" aria-label="Filters" data-needs-script hidden>
{% if classes %}<label for="class-filter">Class
<select id="class-filter"><option value="-1">all</option>
{%- for name in classes %}<option value="{{ loop.index0 }}">{{ name }}</option>{% endfor %}
</select></label>{% endif %}
<fieldset class="range" aria-label="Entropy">
<label for="lowest">Entropy from percentile
<input type="range" id="lowest" min="0" max="100" step="5" value="0"></label>
<label for="highest">to percentile
<input type="range" id="highest" min="0" max="100" step="5" value="100"></label>
<output id="range-text" for="lowest highest"></output>
</fieldset>
{% if classes %}<label class="check" for="wrong-only">
<input type="checkbox" id="wrong-only">nearest is of another class</label>{% endif %}
<output id="shown" aria-live="polite"></output>
</form>
<div class="detail" data-needs-script hidden>
<div class="selected"><div id="detail-picture"></div>
<div><h3 id="detail-name"></h3><p id="detail-text" aria-live="polite"></p></div></div>
<ul class="near" id="detail-near" aria-label="Nearest training images"></ul>
</div>
<div class="tiles" id="tiles" role="group" aria-label="Training images, lowest entropy first"
 data-needs-script hidden></div>
<figure>
<svg class="map" id="map" viewBox="0 0 100 100" role="img" aria-labelledby="map-title">
<title id="map-title">Map of {{ map.count }} training images by t-SNE; images with similar
embeddings lie near each other.</title>
{% for point in map.back %}
<circle class="back {{ point.colour }}" cx="{{ point.x }}" cy="{{ point.y }}" r=".55"/>
{% endfor %}
{% for point in map.pool %}
<circle class="pool {{ point.colour }}" cx="{{ point.x }}" cy="{{ point.y }}" r="1.15"/>
{% endfor %}
</svg>
<ul class="legend">{% for item in map.legend %}
<li><span class="{{ item.colour }}"></span>{{ item.name }}</li>{% endfor %}</ul>
<figcaption><b>Embedding map.</b> t-SNE by cosine distance
(<a href="https://jmlr.org/papers/v9/vandermaaten08a.html">van der Maaten and Hinton 2008</a>): near
points are alike, far distances mean little. {{ map.colours }} Point at a large dot to choose its
image.</figcaption>
</figure>
</div>
<script type="application/json" id="explorer-data">{{ data }}</script>
"""


def explorer_section(context: ReportContext) -> Section:
    """A grid of training images with filters, the neighbours of the chosen one, and a map."""
    pool = choose_pool(context.reference.labels, context.entropy.values)
    points = map_points(
        context.reference,
        context.entropy.rank,
        pool,
        context.classes,
        context.settings.run.seed,
    )
    data, uri = explorer_data(context, pool)
    html = fill(
        TEMPLATE,
        description=_description(context, len(pool)),
        classes=context.classes,
        map=points,
        data=jinja2.utils.htmlsafe_json_dumps(data),
    )
    style = f".sheet {{ background-image: url({uri}); }}"
    return Section("explorer", "Explorer", html, style=style)


def _description(context: ReportContext, count: int) -> str:
    reference = context.reference
    return (
        f"{count} training images, spread evenly over the entropies"
        f"{' of each class' if reference.is_labelled else ''}, lowest entropy first. Choose one to "
        f"see its {min(NEIGHBOURS, len(reference) - 1)} nearest among "
        f"{reference.describe('training')}, by clean embeddings of the {context.checkpoint} "
        "checkpoint; underlined neighbours can be chosen in turn. Entropy is "
        f"{context.entropy.origin}."
    )


def choose_pool(labels: np.ndarray, entropy: np.ndarray, most: int = POOL) -> np.ndarray:
    """Rows spread evenly over the entropies of each class, in the order of entropy.

    Args:
        labels: (n,) int.
        entropy: (n,) float.
        most: how many.
    """
    order = np.lexsort((entropy, labels))  # by class, in a class by entropy
    chosen = order[evenly_spaced(len(order), most)]
    return chosen[np.argsort(entropy[chosen], kind="stable")]


def explorer_data(context: ReportContext, pool: np.ndarray) -> tuple[dict[str, Any], str]:
    """What the page's script needs, in plain lists and numbers, and the sheet of all tiles.

    Args:
        context: of the report.
        pool: (p,) int, rows of the reference images.

    Returns:
        (data, sheet). The sheet is a data URI. data: columns of the sheet; classes; has_anchors,
        whether anchors were selected; tiles, one list per tile: name, label (-1: none); pool, one
        dict for each of the first p tiles: entropy, rank, since (round, or None), near: lists of
        tile, cosine.
    """
    sample, entropy, found = context.reference, context.entropy, context.record.discoveries
    near, cosines = nearest_others(sample, pool, NEIGHBOURS)  # (p, k)
    rows = np.concatenate([pool, np.setdiff1d(near, pool)])  # the tiles
    place = {row: tile for tile, row in enumerate(rows.tolist())}
    since = anchor_since(found, sample.indices[pool])
    uri, columns = sheet(sample.load(rows, sheet_side(context.image_size)))
    data = {
        "columns": columns,
        "classes": context.classes,
        "has_anchors": any(each.is_anchor.any() for each in found),
        "tiles": [[sample.image_name(row), int(sample.labels[row])] for row in rows],
        "pool": [
            {
                "entropy": round(float(entropy.values[row]), 3),
                "rank": round(float(entropy.rank[row]), 4),
                "since": since[i],
                "near": [
                    [place[other], round(float(cosine), 3)]
                    for other, cosine in zip(near[i].tolist(), cosines[i], strict=True)
                ],
            }
            for i, row in enumerate(pool)
        ],
    }
    return data, uri
