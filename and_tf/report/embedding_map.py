"""A two-dimensional map of the embeddings: a point per image, coloured by class or entropy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from and_tf.data.subsets import evenly_spaced
from and_tf.errors import UserError
from and_tf.report.sample import Sample

MOST = 2_000  # images in the map: t-SNE takes seconds for them
COLOURS = 10  # more classes could not be told apart
ENTROPY_STEPS = 5
MARGIN = 2.5  # percent of the side
PERPLEXITY = 30  # the usual value: roughly the number of neighbours that matter to each point


def map_points(
    sample: Sample, rank: np.ndarray, pool: np.ndarray, classes: list[str], seed: int
) -> dict[str, Any]:
    """The map of a sample's images, as a page draws it.

    Args:
        sample: of the training images.
        rank: (n,) float in 0..1, of each image's entropy.
        pool: (p,) int, rows of the images that the reader can choose.
        classes: names of the labels; empty without labels.
        seed: of the map.

    Returns:
        dict: pool, in its order, and back, the others, as lists of points (x and y in 0..100;
        colour, a class of page.css); legend, names by colour; count; colours, their meaning.
    """
    rows = choose_rows(pool, len(sample))
    places = embedding_map(sample.embeddings[rows], seed)  # (n, 2) in 0..1
    points = as_points(places, _colours(sample.labels[rows], rank[rows], classes))
    return {
        "pool": points[: len(pool)],
        "back": points[len(pool) :],
        "count": f"{len(rows):,}",
        **_legend(classes),
    }


def as_points(places: np.ndarray, colours: Sequence[str]) -> list[dict[str, str]]:
    """Points of the map as the page draws them.

    Args:
        places: (n, 2) float in 0..1.
        colours: n classes of page.css; empty for none.
    """
    places = MARGIN + (100 - 2 * MARGIN) * places
    return [
        {"x": f"{x:.2f}", "y": f"{y:.2f}", "colour": colour}
        for (x, y), colour in zip(places, colours, strict=True)
    ]


def choose_rows(pool: np.ndarray, count: int, most: int = MOST) -> np.ndarray:
    """The pool's rows, then evenly spaced other rows below `count`; at most `most` in all."""
    others = np.setdiff1d(np.arange(count), pool)
    places = min(len(others), max(0, most - len(pool)))
    spread = evenly_spaced(len(others), places)
    return np.concatenate([pool, others[spread]])


def _colours(labels: np.ndarray, rank: np.ndarray, classes: list[str]) -> list[str]:
    """A class of page.css for each point; empty for none."""
    if not classes:
        steps = np.minimum(rank * ENTROPY_STEPS, ENTROPY_STEPS - 1).astype(int)
        return [f"e{step}" for step in steps]
    if len(classes) > COLOURS:
        return [""] * len(labels)
    return [f"c{label}" if label >= 0 else "" for label in labels]


def _legend(classes: list[str]) -> dict[str, Any]:
    if not classes:
        names = ["lowest fifth of entropy", "second", "third", "fourth", "highest fifth"]
        legend = [{"colour": f"e{i}", "name": name} for i, name in enumerate(names)]
        return {"legend": legend, "colours": "Colours: entropy."}
    if len(classes) > COLOURS:
        reason = f"{len(classes)} classes are too many for colours: choose one in the filter above."
        return {"legend": [], "colours": reason}
    legend = [{"colour": f"c{i}", "name": name} for i, name in enumerate(classes)]
    return {"legend": legend, "colours": "Colours: classes, which the training never saw."}


def embedding_map(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """t-SNE of embeddings by cosine distance: near points are alike, large distances mean little.

    Args:
        embeddings: (n, D) float; 2,000 rows take about ten seconds.
        seed: of the optimisation; the same seed gives the same map.

    Returns:
        (n, 2) float32 in 0..1, both axes to the same scale, centred.

    Raises:
        UserError: if a value is not finite.

    Reference: van der Maaten and Hinton, JMLR 2008; scikit-learn's implementation, initialised with
    the first two principal components.
    """
    embeddings = np.asarray(embeddings, np.float32)
    if not np.isfinite(embeddings).all():
        raise UserError("Embeddings must be finite to be mapped: the encoder gave NaN, retrain.")
    if len(np.unique(embeddings, axis=0)) < 3:
        return _to_unit_square(_on_a_line(embeddings))  # too few for a start in two dimensions
    perplexity = min(PERPLEXITY, (len(embeddings) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed)
    with threadpool_limits(1):  # threads waiting for one another make it up to ten times slower
        return _to_unit_square(tsne.fit_transform(embeddings))


def _on_a_line(embeddings: np.ndarray) -> np.ndarray:
    _, kinds = np.unique(embeddings, axis=0, return_inverse=True)
    return np.stack([kinds, np.zeros(len(kinds))], axis=1)  # (n, 2)


def _to_unit_square(points: np.ndarray) -> np.ndarray:
    lowest, highest = points.min(axis=0), points.max(axis=0)
    largest = (highest - lowest).max()
    if largest == 0:
        return np.full(points.shape, 0.5, np.float32)
    centred = (points - (lowest + highest) / 2) / largest + 0.5
    return np.clip(centred, 0, 1).astype(np.float32)
