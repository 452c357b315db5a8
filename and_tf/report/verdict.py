"""One line on what a run is worth and a few on what that rests on; pure functions of figures."""

import dataclasses
import math

import numpy as np

from and_tf.evaluation.label_free import NEIGHBOURS
from and_tf.report.record import Record

SURE = 2  # standard errors that a difference must exceed before a word is made of it
FLAT = -0.5  # uniformity above this: nearly all embeddings are equal
CLOSE = -1.5  # and above this they lie close together; trained on digits or CIFAR-10, below -3
NARROW = 0.1  # share of the possible effective rank below which few directions are used


@dataclasses.dataclass(frozen=True)
class Spread:
    """How the embeddings of the last checkpoint lie, measured for the report.

    Attributes:
        images: n, how many were embedded.
        dim: D, length of an embedding.
        uniformity: 0 (all equal) down to about -4.
        effective_rank: 1 to min(n, D).
    """

    images: int
    dim: int
    uniformity: float
    effective_rank: float

    @property
    def is_flat(self) -> bool:
        """Nearly all embeddings are equal, by its measure."""
        return self.uniformity > FLAT

    @property
    def is_line(self) -> bool:
        """The embeddings use a single direction, by its measure."""
        return self.effective_rank < min(2, self.dim)

    @property
    def is_narrow(self) -> bool:
        is_close = self.uniformity > CLOSE or self.is_line
        return is_close or self.effective_rank < NARROW * self.possible_rank

    @property
    def possible_rank(self) -> int:
        return min(self.images, self.dim)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is said of a run.

    Attributes:
        tone: `good`, `mixed`, `poor` or `unknown`.
        headline: one sentence.
        grounds: sentences on what it rests on.
    """

    tone: str
    headline: str
    grounds: list[str]


def judge(
    record: Record,
    labels: np.ndarray | None,
    spread: Spread,
    published: str = "",
    train_labels: np.ndarray | None = None,
) -> Verdict:
    """Is it good, and compared with what?

    Args:
        record: the run.
        labels: (n,) int, of the held-out images that have one; None or empty where none has.
        spread: of the embeddings of the last checkpoint.
        published: a sentence on the published figure, or nothing.
        train_labels: (m,) int, of the training images that `knn_top1_train` is of; it stands in
            where there is no accuracy of held-out images.
    """
    if _is_measured(record, "knn_top1", labels):
        tone, headline, grounds = _with_labels(record, labels, "knn_top1")
        grounds.append(published)
        # Embeddings that tell classes apart are not all equal, however close they lie.
        is_collapsed = tone != "good" and (spread.is_flat or spread.is_line)
    elif _is_measured(record, "knn_top1_train", train_labels):
        tone, headline, grounds = _with_labels(record, train_labels, "knn_top1_train")
        is_collapsed = tone != "good" and (spread.is_flat or spread.is_line)
    else:
        is_collapsed = spread.is_flat and spread.is_line
        tone, headline, grounds = _without_labels(record, spread, is_collapsed)
    if is_collapsed:
        tone = "poor"
        headline = f"The embeddings have collapsed: images can hardly be told apart. {headline}"
    if not record.is_finished:
        done, planned = record.epochs_done, record.plan.total_epochs
        headline = f"Unfinished, {done:,} of {planned:,} epochs. So far: {headline}"
    grounds.append(spread_words(spread, is_collapsed))
    return Verdict(tone, headline, [words for words in grounds if words])


def standard_error(percent: float, count: int) -> float:
    """Of a share of `count` images, in points: sqrt(p (1 - p) / n), with four images more.

    Two of them are counted as right and two as wrong, so that it is never 0: of 10 images named
    rightly all 10 are no proof of 100 %.

    Reference: Agresti and Coull, The American Statistician 52(2), 1998.
    """
    share = (percent / 100 * count + 2) / (count + 4)
    return 100 * math.sqrt(share * (1 - share) / (count + 4))


def error_of_difference(first: float, second: float, count: int) -> float:
    """Standard error of the difference of two shares in points, taken as independent.

    Both are measured on the same images, where the true one is usually smaller: words made of it
    are cautious.
    """
    return math.hypot(standard_error(first, count), standard_error(second, count))


def _is_measured(record, name, labels):
    return record.latest(name) is not None and labels is not None and len(labels) > 0


def _with_labels(record, labels, name):
    count, accuracy = len(labels), record.latest(name)
    error = standard_error(accuracy, count)
    knn, images = _NAMED[name]
    measured = (
        f"{knn} names the class of {accuracy:.1f} % of {count:,} {images} "
        f"(standard error {error:.1f} points)"
    )
    raw = record.facts.get("raw_pixels_knn_top1") if name == "knn_top1" else None
    tone, comparison = _compared(raw, labels, accuracy)
    grounds = [trend(record.by_round(name), count), *_consistency(record)]
    if name == "knn_top1_train":
        grounds.append(
            "No held-out image has a label: these images were trained on, though without labels."
        )
    return tone, f"{comparison}: {measured}.", grounds


_NAMED = {
    "knn_top1": ("weighted kNN", "held-out images"),
    "knn_top1_train": ("kNN among the training images", "training images by the others"),
}


def _compared(raw, labels, accuracy):
    """Tone and words beside raw pixels, else beside naming always the most frequent class."""
    if raw is None:
        name, against = "always naming the largest class", 100 * np.bincount(labels).max()
        against = float(against / len(labels))
    else:
        name, against = "the same kNN on raw pixels", raw
    gain = accuracy - against
    beside = f"{name} ({against:.1f} %)"
    if abs(gain) <= SURE * error_of_difference(accuracy, against, len(labels)):
        return "mixed", f"Not clearly different from {beside}"
    if gain > 0:
        return "good", f"Better than {beside} by {gain:.1f} points"
    return "poor", f"Worse than {beside} by {-gain:.1f} points"


def trend(by_round: dict[int, float], count: int) -> str:
    """Whether accuracy still rises, in words; empty with fewer than two rounds.

    Args:
        by_round: top-1 in percent, the last of each round.
        count: images that it was measured on.
    """
    if len(by_round) < 2:
        return ""
    rounds = sorted(by_round)
    before, last = (by_round[number] for number in rounds[-2:])
    best = max(rounds, key=by_round.get)
    change = last - before
    error = error_of_difference(last, before, count)
    words = f"{change:+.1f} points from round {rounds[-2]} to {rounds[-1]}, error {error:.1f}"
    drop = by_round[best] - last
    if drop > SURE * error_of_difference(last, by_round[best], count):
        return f"Falling: {drop:.1f} points below round {best}, the best ({words})."
    if change > SURE * error:
        return f"Still rising: {words}. More rounds or epochs may add to it."
    return f"Level over the last rounds within the error: {words}."


def _consistency(record):
    values = [epoch["consistency"] for epoch in record.epochs if "consistency" in epoch]
    if not values:
        return []
    return [
        f"{values[-1]:.1f} % of the neighbours that the last round began with are of their "
        "anchor's class."
    ]


def _without_labels(record, spread, is_collapsed):
    tone, headline = "unknown", "How accurate it is cannot be known without labels"
    if spread.is_narrow and not is_collapsed:
        tone = "mixed"
        headline += "; the embeddings lie close together, as after too little training"
    elif not is_collapsed:
        headline += "; nothing points to a collapse"
    grounds = [
        neighbours_kept(record.evaluations, nearest_words(record.facts.get("images"))),
        "What no figure here can say is whether near images belong together for your purpose: "
        "look at the neighbours below, or label some held-out images (sub-folders, or y_test) and "
        "run evaluate.py.",
    ]
    return tone, f"{headline}.", grounds


def nearest_words(images: int | None) -> str:
    """How many nearest images the label-free figures are of, among so many training images."""
    if images is None or images > NEIGHBOURS:
        return f"{NEIGHBOURS} nearest"
    return f"{images - 1} nearest" if images > 2 else "nearest"


def neighbours_kept(evaluations: list[dict], nearest: str) -> str:
    """How many neighbours stayed lately, in words; empty before the second evaluation.

    Args:
        evaluations: records of metrics.jsonl.
        nearest: from `nearest_words`.
    """
    kept = [record for record in evaluations if "neighbours_kept" in record]
    if not kept:
        return ""
    last = kept[-1]
    words = (
        f"Of the {nearest} of each image {last['neighbours_kept']:.0f} % stayed from the "
        f"evaluation before to that of epoch {last['epoch']}"
    )
    if len(kept) > 1:
        words += f" ({kept[-2]['neighbours_kept']:.0f} % to that of epoch {kept[-2]['epoch']})"
    return f"{words}: much, where neighbourhoods have settled or the learning rate is low."


def spread_words(spread: Spread, is_collapsed: bool = False) -> str:
    """Effective rank and uniformity in a sentence, and a warning that the headline did not give."""
    words = (
        f"The embeddings spread over {spread.effective_rank:.0f} of {spread.possible_rank} "
        f"directions (effective rank); uniformity is {spread.uniformity:.2f} (0: all equal; near "
        "-4: even)."
    )
    if spread.is_narrow and not is_collapsed:
        words += " The embeddings lie close together. That is little, unless the images hardly "
        words += "differ: train longer, or look for a learning rate that is too high or too low."
    return words
