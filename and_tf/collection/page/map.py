"""The embeddings of a folder as a map in the plane."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.data.subsets import evenly_spaced
from and_tf.report.embedding_map import COLOURS, MOST, as_points, embedding_map

LEAST = 5  # photos; fewer make no map


def folder_map(context: PageContext) -> tuple[Mapping[str, Any] | None, list[int]]:
    """The map as the explorer draws it, and the photos that its points stand for.

    If there are more than 2,000 photos, it shows 2,000 evenly spaced ones, which takes seconds.
    """
    if len(context) < LEAST:
        return None, []
    chosen = evenly_spaced(len(context), MOST)
    places = embedding_map(context.collection.embeddings[chosen], context.settings.collection.seed)
    numbers, names, what = _groups(context)
    shown = "All" if len(chosen) == len(context) else f"{len(chosen):,} evenly spaced"
    return {
        "pool": as_points(places, [_colour(numbers[i]) for i in chosen]),
        "back": [],
        "count": f"{len(chosen):,}",
        "radius": 1.1 if len(chosen) <= 500 else 0.7,
        "legend": [{"colour": f"c{i}", "name": name} for i, name in enumerate(names)],
        "colours": what,
        "hint": f"{shown} photos; point at a dot to see its photo, and click to choose it.",
    }, chosen.tolist()


def _groups(context: PageContext) -> tuple[np.ndarray, list[str], str]:
    """(N,) int, colour of each photo, -1 for none; names of the colours; what they mean."""
    clusters = context.findings.clusters
    if context.classes and len(context.classes) <= COLOURS:
        return context.labels, context.classes, "Colours: folders."
    if clusters is not None:
        names = [f"cluster {number}" for number in range(min(clusters.count, COLOURS))]
        rest = " Grey: the smaller clusters." if clusters.count > COLOURS else ""
        numbers = np.where(clusters.numbers < COLOURS, clusters.numbers, -1)
        return numbers, names, f"Colours: clusters.{rest}"
    return np.full(len(context), -1), [], ""


def _colour(number: int) -> str:
    return f"c{number}" if number >= 0 else ""
