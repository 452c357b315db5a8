"""Clusters: their sizes, the photos nearest to their centres, and the reason for their number."""

from typing import Any

import numpy as np

from and_tf.collection.clusters.representatives import representatives
from and_tf.collection.page.context import PageContext
from and_tf.report.metric_tables import MetricTable
from and_tf.report.section import Section, fill

MOST_SHOWN = 30  # clusters; the explorer shows all
REPRESENTATIVES = 10

TEMPLATE = """
<p>{{ count }} clusters by k-means, the largest first. {{ reason }}
Shown are the photos nearest to the centre of each.</p>
{% if table %}{{ page.table(table, "Numbers of clusters compared.",
"Silhouette: how much nearer a photo is to its own cluster than to the next, -1 to 1. Stability: "
~ "agreement of clusterings of resampled photos (adjusted Rand index), at most 1.") }}{% endif %}
{% for cluster in clusters %}
<h3>Cluster {{ cluster.number }} <span class="count">{{ "{:,}".format(cluster.size) }}
photo{{ "" if cluster.size == 1 else "s" }}{{ cluster.mostly }}</span></h3>
{{ page.gallery(cluster.photos, "Cluster " ~ cluster.number) }}
{% if cluster.size > cluster.photos|length %}
<p class="more"><a href="#show-cluster-{{ cluster.number }}">All photos of cluster
{{ cluster.number }}</a></p>{% endif %}
{% endfor %}
{% if count > clusters|length %}<p class="note">The explorer shows the other
{{ count - clusters|length }} clusters.</p>{% endif %}
"""


def clusters_section(context: PageContext) -> Section | None:
    """The clusters; None if none were asked for."""
    found = context.findings.clusters
    if found is None:
        return None
    nearest = found.representatives or representatives(
        context.collection.embeddings, found.numbers, count=REPRESENTATIVES
    )
    html = fill(
        TEMPLATE,
        count=found.count,
        reason=found.reason,
        table=_candidates(context),
        clusters=[_cluster(context, i, near) for i, near in enumerate(nearest[:MOST_SHOWN])],
    )
    return Section("clusters", "Clusters", html)


def _cluster(context: PageContext, number: int, nearest: np.ndarray) -> dict[str, Any]:
    """A cluster with (R,) int photos nearest to its centre."""
    assert context.findings.clusters is not None
    members = np.flatnonzero(context.findings.clusters.numbers == number)
    return {
        "number": number,
        "size": len(members),
        "mostly": _mostly(context, members),
        "photos": [context.photo(i) for i in nearest[:REPRESENTATIVES].tolist()],
    }


def _mostly(context: PageContext, members: np.ndarray) -> str:
    """The most frequent folder of a cluster, as `, 81 % hat`."""
    labels = context.labels[members]
    labels = labels[labels >= 0]
    if not context.classes or not len(labels):
        return ""
    counts = np.bincount(labels)
    percent = 100 * counts.max() / len(members)
    return f", {percent:.0f} % {context.classes[int(counts.argmax())]}"


def _candidates(context: PageContext) -> MetricTable | None:
    """The numbers of clusters that were compared, as a table."""
    assert context.findings.clusters is not None
    candidates = context.findings.clusters.candidates
    if not candidates:
        return None
    chosen = context.findings.clusters.chosen
    rows = [
        [
            f"{c.num_clusters}{', chosen' if c.num_clusters == chosen else ''}",
            f"{c.silhouette:.3f}",
            f"{c.stability:.2f}",
        ]
        for c in candidates
    ]
    return MetricTable(["clusters", "silhouette", "stability"], rows)
