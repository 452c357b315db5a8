"""The metrics that need no labels, over epochs, as small multiples."""

from matplotlib.figure import Figure

from and_tf.report.plots.drawing import (
    COLOURS,
    Plot,
    mark_rounds,
    new_figure,
    save_svg,
    styled,
    whole_numbers,
)
from and_tf.report.record import Record

LABEL_FREE = {
    "alignment": "alignment",
    "uniformity": "uniformity",
    "effective_rank": "effective rank",
    "hubness": "hubness",
    "mutual_neighbours": "mutual neighbours (%)",
    "neighbours_kept": "neighbour overlap (%)",
    "bank_agreement": "bank agreement (%)",
    "entropy_clean": "entropy (nats)",
}


def label_free_plot(record: Record) -> Plot | None:
    """Label-free metrics of a run; None if none was measured."""
    figure = label_free_curves(record.evaluations)
    if figure is None:
        return None
    alt = "Line plots of the label-free metrics over epochs; the last values are in the table."
    caption = "Each over epochs, at every evaluation. Dotted: a round ends."
    return Plot(save_svg(figure, alt), "Label-free metrics.", caption)


@styled
def label_free_curves(evaluations: list[dict]) -> Figure | None:
    """Small multiples of the metrics that need no labels, over epochs, and kNN if it was measured.

    Args:
        evaluations: evaluation records of metrics.jsonl.

    Returns:
        Figure, or None if none of them was measured.
    """
    names = {"knn_top1": "kNN top-1 (%), needs labels", **LABEL_FREE}
    present = [key for key in names if any(key in record for record in evaluations)]
    if not set(present) & set(LABEL_FREE):
        return None
    rows = (len(present) + 1) // 2
    figure, panels = new_figure(0.4 + 1.35 * rows, rows=rows, columns=2, sharex=True)
    for axes, key in zip(panels, present, strict=False):
        points = [(record["epoch"], record[key]) for record in evaluations if key in record]
        colour = COLOURS[1] if key == "knn_top1" else COLOURS[0]
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3.5)
        axes.set_title(names[key])
        whole_numbers(axes, most=5)
        mark_rounds(axes, evaluations)
    for axes in panels[len(present) :]:
        axes.set_axis_off()
    for axes in panels[len(present) - 2 : len(present)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("epoch", size="medium")
    return figure
