"""The explorer of a folder: every photo, its neighbours, and a map."""

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.collection.page.findings_of import marks_of, orders_of
from and_tf.collection.page.map import folder_map
from and_tf.report.page.explorer import Explorer, Facet, explorer_html
from and_tf.report.section import Section, fill

NEIGHBOURS = 12
PER_PAGE = 96  # photos of the grid at once
MOST_NEIGHBOURS = 400_000  # on the page, a line of text each; with many photos, each has fewer

TEMPLATE = """
<p>All {{ "{:,}".format(count) }} photos. Search by name, filter, and choose a photo to see its
{{ neighbours }} nearest with rank and cosine similarity; a neighbour that is chosen becomes the
next query. Arrow keys move through the grid, Home and End go to its ends.
{% if has_originals %}The link below the name opens the file where it was when the page
was written.{% endif %}</p>
"""


def explorer_section(context: PageContext) -> Section:
    """Every photo, with filters, its neighbours, and a map."""
    collection = context.collection
    neighbours = neighbours_shown(len(context), collection.neighbours.shape[1])
    map_, images = folder_map(context)
    explorer = Explorer(
        names=context.names,
        near=collection.neighbours[:, :neighbours],
        cosines=collection.similarity[:, :neighbours],
        thumbnails=context.thumbnails.data,
        labels=context.labels if context.classes else None,
        classes=context.classes,
        urls=context.urls,
        facets=_facets(context),
        marks=marks_of(context),
        orders=orders_of(context),
        map=map_,
        map_images=images,
        noun="photos",
        class_noun="folder",
        per_page=PER_PAGE,
        shows_originals=context.urls is not None,
    )
    html = fill(
        TEMPLATE,
        count=len(context),
        neighbours=neighbours,
        has_originals=context.urls is not None,
    )
    html += explorer_html(explorer, "Photos")
    return Section("explorer", "Map and explorer", html)


def neighbours_shown(count: int, searched: int) -> int:
    """How many of the `searched` neighbours of each of `count` photos the page holds."""
    return min(searched, NEIGHBOURS, max(1, MOST_NEIGHBOURS // max(1, count)))


def _facets(context: PageContext) -> list[Facet]:
    facets = []
    if context.classes:
        facets.append(Facet("class", "Folder", context.classes, context.labels))
    if (found := context.findings.clusters) is not None:
        names = [str(number) for number in range(found.count)]
        facets.append(Facet("cluster", "Cluster", names, np.asarray(found.numbers, int)))
    return facets
