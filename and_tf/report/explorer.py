"""The data of the page's explorer: some training images, their neighbours, and a map of them."""

import dataclasses

import numpy as np

from and_tf.methods.anchor_neighbourhoods.discovery import discover
from and_tf.report.record import Record, anchor_since
from and_tf.report.sample import Sample, nearest_others
from and_tf.report.thumbnails import sheet, sheet_side

POOL = 240  # images in the grid
NEIGHBOURS = 8  # of each


@dataclasses.dataclass(frozen=True)
class Entropy:
    """Entropy of the neighbourhood of each image of a sample.

    Attributes:
        values: (n,) float32, nats.
        rank: (n,) float in 0..1, the share of the images that lie lower.
        origin: where it comes from, in words.
    """

    values: np.ndarray
    rank: np.ndarray
    origin: str


def entropy_of(record: Record, sample: Sample) -> Entropy:
    """The entropy that the last round discovered, else that of the embeddings.

    Args:
        record: of the run.
        sample: of its training images.
    """
    end = record.discovery
    if end is not None:
        values = end["entropy"]
        rank = _rank(values)[sample.indices]
        rows = {"bank": "the bank", "clean": "clean embeddings"}[record.options.discovery_features]
        origin = f"from {rows} at the start of round {end['round']}"
        return Entropy(values[sample.indices], rank, origin)
    values = discover(sample.embeddings, 1, record.options.temperature).entropy
    return Entropy(values, _rank(values), f"from the embeddings of {sample.words('training')}")


def _rank(values):
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(values))
    rank[order] = np.arange(len(values)) / max(1, len(values) - 1)
    return rank


def choose_pool(labels: np.ndarray, entropy: np.ndarray, most: int = POOL) -> np.ndarray:
    """Rows spread evenly over the entropies of each class, in the order of entropy.

    Args:
        labels: (n,) int.
        entropy: (n,) float.
        most: how many.
    """
    order = np.lexsort((entropy, labels))  # by class, in a class by entropy
    chosen = order[np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)]
    return chosen[np.argsort(entropy[chosen], kind="stable")]


def explorer_data(
    record: Record, sample: Sample, entropy: Entropy, pool: np.ndarray, classes: list[str]
) -> dict:
    """What the page's script needs; plain lists and numbers.

    Args:
        record: of the run.
        sample: of its training images.
        entropy: of the sample's images.
        pool: (p,) int, rows of the sample.
        classes: names of the labels.

    Returns:
        dict: sheet (data URI of all tiles) and columns of it; classes; has_rounds, whether anchors
        were selected; tiles, one list a tile: name, label (-1: none); pool, one dict for each of
        the first p tiles: entropy, rank, since (round, or None), near: lists of tile, cosine.
    """
    found, cosines = nearest_others(sample, pool, NEIGHBOURS)  # (p, k)
    rows = np.concatenate([pool, np.setdiff1d(found, pool)])  # the tiles
    place = {row: tile for tile, row in enumerate(rows.tolist())}
    since = anchor_since(record.round_ends, sample.indices[pool])
    uri, columns = sheet(sample.load(rows, sheet_side(record.options.image_size)))
    return {
        "sheet": uri,
        "columns": columns,
        "classes": classes,
        "has_rounds": record.discovery is not None and record.options.method == "and",
        "tiles": [[image_name(sample, row), int(sample.labels[row])] for row in rows],
        "pool": [
            {
                "entropy": round(float(entropy.values[row]), 3),
                "rank": round(float(entropy.rank[row]), 4),
                "since": since[i],
                "near": [
                    [place[other], round(float(cosine), 3)]
                    for other, cosine in zip(found[i].tolist(), cosines[i], strict=True)
                ],
            }
            for i, row in enumerate(pool)
        ],
    }


def image_name(sample: Sample, row: int) -> str:
    """A file's relative path, else the image's number in the source."""
    index = int(sample.indices[row])
    if sample.whole.names is not None:
        return str(sample.whole.names[index])
    return f"image {index:,}"
