"""The plots of the page, each with its title, caption and alt text."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from and_tf.evaluation.confusion import confusion_figure, confusion_matrix
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
    words = _words(has_labels)
    return {
        name: figure and {"svg": save_svg(figure, _ALT[name](record)), **words[name]}
        for name, figure in drawn.items()
    }


def _words(has_labels: bool) -> dict[str, dict]:
    consistency = (
        "share of neighbours with the image's label (consistency)"
        if has_labels
        else "share of neighbours that the next round finds again (stability)"
    )
    robustness = (
        "kNN accuracy of held-out images and consistency of the neighbours at the end of each round"
        if has_labels
        else "How far the neighbours of one round were those of the round before, and those by the "
        "bank those by clean features"
    )
    return {
        "training": {
            "title": "Loss and learning rate.",
            "caption": "Dotted: a round begins, with anchors and neighbours selected anew.",
        },
        "rounds": {"title": "Training robustness.", "caption": f"{robustness}."},
        "label_free": {
            "title": "Label-free figures.",
            "caption": "Each over epochs, at every evaluation. Dotted: a round ends.",
        },
        "by_entropy": {
            "title": "Low entropy, clear neighbourhoods?",
            "caption": f"The {consistency} by decile of entropy. The method selects images of low "
            "entropy as anchors: that pays where the lines fall to the right.",
        },
        "entropy": {
            "title": "Entropy of the neighbourhoods.",
            "caption": "As discovered at the start of each round. Images of low entropy, filled, "
            "become anchors.",
        },
    }


def _training_alt(record: Record) -> str:
    first, last = record.epochs[0], record.epochs[-1]
    return (
        f"Line plot: loss over {record.epochs_done} epochs, from {first['loss']:.2f} to "
        f"{last['loss']:.2f} nats, above the learning rate."
    )


def _rounds_alt(record: Record) -> str:
    values = record.by_round("knn_top1")
    if not values:
        return "Line plot by round: stability of the neighbours and agreement with the bank."
    listed = ", ".join(f"{value:.1f}" for value in values.values())
    return f"Line plot by round: kNN top-1 of {listed} percent, with the neighbours' consistency."


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
        "Line plot: share of right or lasting neighbours by decile of "
        "entropy, a line a round, solid over the anchors."
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
        predicted class, images.
    """
    matrix = confusion_matrix(labels, predicted, len(classes))
    pairs = most_confused(matrix, classes)
    alt = f"Confusion matrix of {int(matrix.sum()):,} held-out images, {len(classes)} classes."
    if pairs:
        alt += f" Most frequent: {pairs[0][0]} taken for {pairs[0][1]}, {pairs[0][2]} images."
    figure = _themed(confusion_figure(matrix, classes))
    return {"svg": save_svg(figure, alt), "images": int(matrix.sum()), "pairs": pairs}


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
