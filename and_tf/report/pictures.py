"""The plots of the page, each with its title, caption and alt text."""

import types
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from and_tf.evaluation.confusion import confusion_figure, confusion_matrix
from and_tf.report.curves import ROUND_FIGURES, round_series
from and_tf.report.drawing import INK
from and_tf.report.plots import (
    accuracy_by_round,
    consistency_by_entropy,
    entropy_distribution,
    label_free_curves,
    save_svg,
    training_curves,
)
from and_tf.report.record import Record

MOST_NAMED = 30  # classes whose names can be read in a picture of the page's width


def pictures(record: Record, labels: np.ndarray | None) -> dict[str, dict | None]:
    """The plots of a run by name; None where there is nothing to draw.

    Args:
        record: of the run.
        labels: (N,) int, of all its training images, -1 where unknown; or None.

    Returns:
        Each a dict: svg, title, caption.
    """
    has_labels = labels is not None and bool((labels >= 0).any())
    raw_pixels = record.facts.get("raw_pixels_knn_top1")
    drawn = {
        "training": training_curves(record.epochs),
        "rounds": accuracy_by_round(record.epochs, record.evaluations, raw_pixels),
        "label_free": label_free_curves(record.evaluations),
        "by_entropy": consistency_by_entropy(record.round_ends, labels),
        "entropy": entropy_distribution(record.round_ends),
    }
    words = _words(record, has_labels)
    return {
        name: figure and {"svg": save_svg(figure, _ALT[name](record)), **words[name]}
        for name, figure in drawn.items()
    }


# What each line of the plot by round is, for its caption.
_SERIES = {
    "knn_top1": "kNN accuracy of held-out images against clean features",
    "knn_top1_bank": "their accuracy against the memory bank",
    "knn_top1_train": "kNN accuracy of training images among the other training images",
    "consistency": "consistency of the neighbours that the round began with",
    "stability": "share of the neighbours of the round before that its start found again",
    "bank_agreement": "share of the nearest by clean features that are nearest in the bank too",
}


def _words(record: Record, has_labels: bool) -> dict[str, dict]:
    consistency = (
        "share of neighbours with the image's label (consistency)"
        if has_labels
        else "share of neighbours that the next round finds again (stability)"
    )
    series = round_series(record.epochs, record.evaluations)
    new = "neighbours" if record.options.method == "instance" else "anchors and neighbours"
    selection, filled = _anchor_words(record.options)
    return {
        "training": {
            "title": "Loss and learning rate.",
            "caption": f"Dotted: a round begins, with {new} selected anew.",
        },
        "rounds": {
            "title": "Training robustness." if "knn_top1" in series else "Figures by round.",
            "caption": f"By round: {'; '.join(_SERIES[name] for name in series)}.",
        },
        "label_free": {
            "title": "Label-free figures.",
            "caption": "Each over epochs, at every evaluation. Dotted: a round ends.",
        },
        "by_entropy": {
            "title": "Low entropy, clear neighbourhoods?",
            "caption": f"The {consistency} by decile of entropy. {selection}: that pays where the "
            "lines fall to the right.",
        },
        "entropy": {
            "title": "Entropy of the neighbourhoods.",
            "caption": f"As discovered at the start of each round. {filled}",
        },
    }


def _anchor_words(options: types.SimpleNamespace) -> tuple[str, str]:
    """Which images become anchors, for the two plots of entropy."""
    if options.method == "instance":
        return (
            "Instance has no anchors; AND would select images of low entropy",
            "No image becomes an anchor: the method is Instance.",
        )
    if options.anchors == "random":
        return (
            "Anchors are random in this run, a control; the method selects images of low entropy",
            "Random images, filled, become anchors.",
        )
    return (
        "The method selects images of low entropy as anchors",
        "Images of low entropy, filled, become anchors.",
    )


def _training_alt(record: Record) -> str:
    first, last = record.epochs[0], record.epochs[-1]
    return (
        f"Line plot: loss over {record.epochs_done} epochs, from {first['loss']:.2f} to "
        f"{last['loss']:.2f} nats, above the learning rate."
    )


def _rounds_alt(record: Record) -> str:
    series = round_series(record.epochs, record.evaluations)
    words = [
        f"{ROUND_FIGURES[name]} {', '.join(f'{value:.1f}' for _, value in points)}"
        for name, points in series.items()
    ]
    return f"Line plot by round, in percent: {'; '.join(words)}."


def _entropy_alt(record: Record) -> str:
    ends = [end for end in record.round_ends if end["round"] > 0]
    medians = ", ".join(f"{np.median(end['entropy']):.2f}" for end in ends)
    return f"Histograms of entropy, one a round; medians {medians} nats."


_ALT: dict[str, Callable[[Record], str]] = {
    "training": _training_alt,
    "rounds": _rounds_alt,
    "label_free": lambda record: (
        "Line plots of the label-free figures over epochs; the last values stand in the table."
    ),
    "by_entropy": lambda record: (
        "Line plot: share of right or lasting neighbours by decile of entropy, a line a round."
    ),
    "entropy": _entropy_alt,
}


def confusion_picture(labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict:
    """Which classes kNN takes for which.

    Args:
        labels: (Q,) int, -1 where unknown.
        predicted: (Q,) int.
        classes: names.

    Returns:
        dict: svg; images, how many are counted; pairs, the most frequent confusions, each class,
        predicted class, images; is_named, whether rows and columns bear the classes' names.
    """
    matrix = confusion_matrix(labels, predicted, len(classes))
    pairs = most_confused(matrix, classes)
    alt = f"Confusion matrix of {int(matrix.sum()):,} held-out images, {len(classes)} classes."
    if pairs:
        alt += f" Most frequent: {pairs[0][0]} taken for {pairs[0][1]}, {pairs[0][2]} images."
    figure = _themed(confusion_figure(matrix, classes, MOST_NAMED))
    return {"svg": save_svg(figure, alt), "images": int(matrix.sum()), "pairs": pairs,
            "is_named": len(classes) <= MOST_NAMED}  # fmt: skip


def most_confused(matrix: np.ndarray, classes: list[str], most: int = 5) -> list[tuple]:
    """(class, predicted class, images) of the largest counts off the diagonal, largest first."""
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [divmod(int(cell), len(classes)) for cell in order]
    return [(classes[i], classes[j], int(wrong[i, j])) for i, j in cells if wrong[i, j]]


def _themed(figure: Figure) -> Figure:
    """Letters outside the cells in the ink that `save_svg` turns into the page's."""
    for axes in figure.axes:
        axes.set_facecolor("white")
        axes.tick_params(color=INK, labelcolor=INK)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(INK)
    return figure
