"""The embedding map of the page: a point for each image, coloured by class or by entropy."""

import numpy as np

from and_tf.report.embedding_map import embedding_map
from and_tf.report.explorer import Entropy
from and_tf.report.sample import Sample

MOST = 2_000  # images in the map: t-SNE takes seconds for them
COLOURS = 10  # classes beyond these could not be told apart
ENTROPY_STEPS = 5
MARGIN = 2.5  # percent of the side


def map_points(
    sample: Sample, entropy: Entropy, pool: np.ndarray, classes: list[str], seed: int
) -> dict:
    """The map of a sample's images as a page draws it.

    Args:
        sample: of the training images.
        entropy: of its images.
        pool: (p,) int, rows that can be chosen.
        classes: names of the labels; empty without labels.
        seed: of the map.

    Returns:
        dict: pool and back, lists of points (x, y in 0..100, colour, a class of page.css), pool in
        its order; legend, names by colour; count; words on the colours.
    """
    rows = choose_rows(pool, len(sample))
    places = embedding_map(sample.embeddings[rows], seed)  # (n, 2) in 0..1
    places = MARGIN + (100 - 2 * MARGIN) * places
    colours = _colours(sample.labels[rows], entropy.rank[rows], classes)
    points = [
        {"x": f"{x:.2f}", "y": f"{y:.2f}", "colour": colour}
        for (x, y), colour in zip(places, colours, strict=True)
    ]
    return {
        "pool": points[: len(pool)],
        "back": points[len(pool) :],
        "count": f"{len(rows):,}",
        **_legend(classes),
    }


def choose_rows(pool: np.ndarray, count: int, most: int = MOST) -> np.ndarray:
    """The pool's rows, then an even spread of the other rows below `count`; `most` together."""
    others = np.setdiff1d(np.arange(count), pool)
    places = min(len(others), max(0, most - len(pool)))
    spread = np.linspace(0, len(others) - 1, places).round().astype(int)
    return np.concatenate([pool, others[spread]])


def _colours(labels, rank, classes):
    if not classes:
        steps = np.minimum(rank * ENTROPY_STEPS, ENTROPY_STEPS - 1).astype(int)
        return [f"e{step}" for step in steps]
    if len(classes) > COLOURS:
        return [""] * len(labels)
    return [f"c{label}" if label >= 0 else "" for label in labels]


def _legend(classes):
    if not classes:
        names = ["lowest fifth of entropy", "second", "third", "fourth", "highest fifth"]
        legend = [{"colour": f"e{i}", "name": name} for i, name in enumerate(names)]
        return {"legend": legend, "words": "Colours: entropy."}
    if len(classes) > COLOURS:
        words = f"{len(classes)} classes are too many for colours: choose one in the filter above."
        return {"legend": [], "words": words}
    legend = [{"colour": f"c{i}", "name": name} for i, name in enumerate(classes)]
    return {"legend": legend, "words": "Colours: classes, which the training never saw."}
