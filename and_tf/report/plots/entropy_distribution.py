"""Histograms of the entropy of the neighbourhoods, round by round."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from and_tf.data.subsets import evenly_spaced
from and_tf.report.plots.consistency_by_entropy import anchors_have_lowest_entropy
from and_tf.report.plots.drawing import (
    COLOURS,
    INK,
    Plot,
    legend_above,
    new_figure,
    save_svg,
    styled,
)
from and_tf.report.record import Discovery, Record

MOST_ROWS = 8
BINS = 50


def entropy_plot(record: Record) -> Plot | None:
    """Entropy of a run's images by round; None if no round has discovered neighbourhoods."""
    found = record.discoveries
    figure = entropy_distribution(found)
    if figure is None:
        return None
    medians = ", ".join(f"{np.median(each.entropy):.2f}" for each in found)
    alt = f"Histograms of entropy, one per round; medians {medians} nats."
    caption = f"As discovered at the start of each round. {_filled(found)}"
    return Plot(save_svg(figure, alt), "Entropy of the neighbourhoods.", caption)


def _filled(found: Sequence[Discovery]) -> str:
    """Says which images became anchors, filled in the plot."""
    if not any(each.is_anchor.any() for each in found):
        return "No image becomes an anchor."
    if not all(anchors_have_lowest_entropy(each) for each in found):
        return "Anchors, filled, are not the images of lowest entropy."
    return "Images of low entropy, filled, become anchors."


@styled
def entropy_distribution(found: Sequence[Discovery]) -> Figure | None:
    """A histogram of the images' entropy per round, anchors filled.

    Args:
        found: in the order of rounds.

    Returns:
        Figure, or None if no round has discovered neighbourhoods.
    """
    shown = [found[i] for i in evenly_spaced(len(found), MOST_ROWS)]
    if not shown:
        return None
    figure, rows = new_figure(0.9 + 0.8 * len(shown), rows=len(shown), sharex=True)
    lowest = min(each.entropy.min() for each in shown)
    highest = max(each.entropy.max() for each in shown)
    bins = np.linspace(lowest, max(highest, lowest + 1e-3), BINS + 1)
    for axes, each in zip(rows, shown, strict=True):
        _plot_entropy(axes, each, bins)
        axes.set_title(f"round {each.round}, median {np.median(each.entropy):.2f}")
    rows[-1].set_xlabel(f"entropy in nats, at most ln N = {np.log(len(shown[0].entropy)):.2f}")
    legend_above(rows[0])
    return figure


def _plot_entropy(axes: Axes, found: Discovery, bins: np.ndarray) -> None:
    anchors, _ = np.histogram(found.entropy[found.is_anchor], bins)
    everyone, _ = np.histogram(found.entropy, bins)
    axes.stairs(anchors, bins, fill=True, color=COLOURS[0], label="anchors")
    axes.stairs(everyone, bins, baseline=anchors, fill=True, color=INK, alpha=0.3, label="others")
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
