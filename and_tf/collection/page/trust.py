"""What the folders' labels show about an encoder that never saw them."""

from typing import NamedTuple

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.data.subsets import evenly_spaced
from and_tf.report.standard_error import error_of_difference
from and_tf.search.nearest import nearest_others

MOST = 2_000  # photos whose raw pixels are compared
SIDE = 32  # of the raw pixels
SURE = 2  # standard errors that a difference must exceed to count


class Trust(NamedTuple):
    """How often a photo's nearest neighbour is in its folder: a tone for the page, a sentence."""

    tone: str
    sentence: str


def measure_trust(context: PageContext) -> Trust | None:
    """Compares the encoder with raw pixels and with the largest folder; None without labels.

    Near-duplicates that were found are left out: they would flatter both.
    """
    rows = evenly_spaced(len(context), MOST)
    rows = rows[(context.labels[rows] >= 0) & ~_is_spare(context)[rows]]
    labels = context.labels[rows]
    if not context.classes or len(rows) < 3 or len(np.unique(labels)) < 2:
        return None
    encoder = agreement(context.collection.embeddings[rows], labels)
    pixels = context.collection.source.load(rows, SIDE).reshape(len(rows), -1)  # (n, 3,072)
    raw = agreement(pixels.astype(np.float32) - pixels.mean(axis=0, dtype=np.float32), labels)
    largest = 100 * float(np.bincount(labels).max()) / len(labels)
    return describe(encoder, raw, largest, len(rows), doubtful_kinds(context))


def agreement(rows: np.ndarray, labels: np.ndarray) -> float:
    """Percentage of (n, D) rows whose nearest other row has the same label.

    A row of zeros is compared as a row of equal values.
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.where(norms > 0, rows / np.maximum(norms, 1e-12), 1 / np.sqrt(rows.shape[1]))
    nearest, _ = nearest_others(unit.astype(np.float32), 1)
    return 100 * float((labels[nearest[:, 0]] == labels).mean())


def doubtful_kinds(context: PageContext) -> str:
    """The kinds of findings that depend on the encoder, as a phrase."""
    found = context.findings
    kinds = {
        "duplicates": found.duplicates, "outliers": found.outliers, "clusters": found.clusters
    }  # fmt: skip
    names = [name for name, value in kinds.items() if value is not None] or ["neighbours"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def describe(
    encoder: float, raw: float, largest: float, count: int, kinds: str = "neighbours"
) -> Trust:
    """The comparison in a sentence; all in percent, of `count` photos.

    `kinds` names the findings that depend on the encoder.
    """
    baseline = max(raw, largest)
    error = SURE * error_of_difference(encoder, baseline, count)
    if encoder - baseline > error:
        tone, words = "good", "better than"
    elif baseline - encoder > error:
        tone, words = "poor", "worse than"
    else:
        tone, words = "mixed", "not clearly different from"
    sentence = (
        f"For {encoder:.1f} % of {count:,} photos the nearest other photo is in the same folder: "
        f"{words} raw pixels ({raw:.1f} %) and always naming the largest folder "
        f"({largest:.1f} %)."
    )
    if tone != "good":
        sentence += f" Trust {kinds} accordingly, or use another encoder."
    return Trust(tone, sentence)


def _is_spare(context: PageContext) -> np.ndarray:
    """(N,) bool, all but one of each group of duplicates."""
    is_spare = np.zeros(len(context), bool)
    found = context.findings.duplicates
    for group in found.groups if found is not None else ():
        is_spare[[i for i in group.members if i != group.keep]] = True
    return is_spare
