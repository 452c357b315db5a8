"""What entropy says about neighbourhoods: consistency by decile of entropy, one line per round."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from and_tf.data.subsets import evenly_spaced, has_labels
from and_tf.report.plots.deciles import (
    DECILES,
    LEAST_IMAGES,
    consistency_deciles,
    images_per_decile,
    stability_deciles,
)
from and_tf.report.plots.drawing import (
    COLOURS,
    INK,
    MARKERS,
    Plot,
    legend_above,
    new_figure,
    save_svg,
    styled,
)
from and_tf.report.record import Discovery, Record

MOST_LINES = 6  # rounds in one plot; if there are more, evenly spaced ones


def consistency_plot(record: Record, labels: np.ndarray | None) -> Plot | None:
    """Consistency against entropy of a run.

    None if no round has neighbours to compare, or if `too_few_for_deciles`.

    Args:
        record: of the run.
        labels: (N,) int, of all its training images, -1 where unknown; or None.
    """
    if too_few_for_deciles(record, labels):
        return None
    figure = consistency_by_entropy(record.discoveries, labels)
    if figure is None:
        return None
    measure = (
        "with the image's label (consistency)"
        if has_labels(labels)
        else "that the next round finds again (stability)"
    )
    caption = (
        f"The fraction of neighbours {measure} by decile of entropy. "
        f"{_selection(record.discoveries)}: that pays off where the lines fall to the right."
    )
    alt = "Line plot: correct or lasting neighbours by decile of entropy, a line per round."
    return Plot(save_svg(figure, alt), "Low entropy, clear neighbourhoods?", caption)


def too_few_for_deciles(record: Record, labels: np.ndarray | None) -> str:
    """Why a run has too few images for deciles of entropy, in a sentence; empty if it has enough.

    Args:
        record: of the run.
        labels: (N,) int, of all its training images, -1 where unknown; or None.
    """
    known = labels if has_labels(labels) else None
    counts = (images_per_decile(each.entropy, known) for each in record.discoveries)
    least = min(counts, default=LEAST_IMAGES)
    if least >= LEAST_IMAGES:
        return ""
    of = "labelled images" if known is not None else "images"
    return (
        "The plot of neighbours by decile of entropy is left out: a decile would hold "
        f"{least} {of}, and fewer than {LEAST_IMAGES} are too few to tell."
    )


def _selection(found: Sequence[Discovery]) -> str:
    """Which images became anchors."""
    if not any(each.is_anchor.any() for each in found):
        return "No image is an anchor here; AND would select images of low entropy"
    if not all(anchors_have_lowest_entropy(each) for each in found):
        return (
            "Anchors are not the images of lowest entropy in this run, a control; the method "
            "selects those"
        )
    return "The method selects images of low entropy as anchors"


def anchors_have_lowest_entropy(found: Discovery) -> bool:
    """Whether the anchors are the images of lowest entropy; also true if all or none are."""
    is_anchor = found.is_anchor
    if is_anchor.all() or not is_anchor.any():
        return True
    return bool(found.entropy[is_anchor].max() <= found.entropy[~is_anchor].min())


@styled
def consistency_by_entropy(found: Sequence[Discovery], labels: np.ndarray | None) -> Figure | None:
    """Consistency of neighbours against entropy, one line per round, solid over the anchors.

    Without labels, it is the stability of neighbours until the next round.

    Args:
        found: in the order of rounds.
        labels: (N,) int, -1 where unknown; or None.

    Returns:
        Figure, or None if no round has neighbours (or, without labels, a next round).
    """
    lines = _lines(found, labels)
    if not lines:
        return None
    figure, (axes,) = new_figure(3.6)
    for number, chosen in enumerate(evenly_spaced(len(lines), MOST_LINES)):
        discovery, percent = lines[chosen]
        style = {"color": COLOURS[number], "marker": MARKERS[number]}
        name = f"round {discovery.round}"
        _plot_by_anchors(axes, percent, _anchor_deciles(discovery), name, style)
    if any(discovery.is_anchor.any() for discovery, _ in lines):
        axes.plot([], [], color=INK, label="anchors")
    axes.plot([], [], color=INK, linestyle=":", label="others")
    axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
    axes.set_xticks(range(1, DECILES + 1))
    axes.set_xlabel("decile of entropy, lowest first")
    axes.set_ylabel("consistency (%)" if has_labels(labels) else "found again next round (%)")
    legend_above(axes, columns=3)
    return figure


def _lines(
    found: Sequence[Discovery], labels: np.ndarray | None
) -> list[tuple[Discovery, np.ndarray]]:
    """Rounds with their (10,) percentages."""
    if labels is not None and has_labels(labels):
        return [
            (each, consistency_deciles(each.entropy, each.neighbours, labels)) for each in found
        ]
    return [
        (each, stability_deciles(each.entropy, each.neighbours, later.neighbours))
        for each, later in itertools.pairwise(found)
        if later.round == each.round + 1
    ]


def _anchor_deciles(found: Discovery) -> float:
    """How many of the lowest deciles are anchors; 0 if others are among the lowest."""
    if not found.is_anchor.any() or not anchors_have_lowest_entropy(found):
        return 0
    return DECILES * float(found.is_anchor.mean())


def _plot_by_anchors(
    axes: Axes, percent: np.ndarray, anchor_deciles: float, name: str, style: dict
) -> None:
    """A line through (10,) percentages, solid as far as the anchors go and dotted from there."""
    x = np.arange(1, DECILES + 1)
    end = anchor_deciles + 0.5  # decile d reaches from d - 0.5 to d + 0.5
    between = np.interp(end, x, percent)
    if anchor_deciles:
        inside = x <= end
        axes.plot(
            [*x[inside], min(end, DECILES)], [*percent[inside], between], color=style["color"]
        )
    if anchor_deciles < DECILES:
        outside = x > end
        rest = [*percent[outside]]
        axes.plot([max(end, 1), *x[outside]], [between, *rest], ":", color=style["color"])
    axes.plot(x, percent, linestyle="none", label=name, **style)
