"""Plots of metrics.jsonl: figures over epochs and over rounds."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from and_tf.report.drawing import (
    COLOURS,
    INK,
    MARKERS,
    legend_above,
    new_figure,
    styled,
    whole_numbers,
)

WITH_LABELS = {
    "knn_top1": "kNN top-1, recomputed",
    "knn_top1_bank": "kNN top-1, bank",
    "consistency": "consistency of neighbours",
}
IN_TRAINING = {"knn_top1_train": "kNN top-1, among training images"}  # without held-out labels
WITHOUT_LABELS = {
    "stability": "stability of neighbours",
    "bank_agreement": "bank agreement",
}
ROUND_FIGURES = WITH_LABELS | IN_TRAINING | WITHOUT_LABELS
LABEL_FREE = {
    "alignment": "alignment",
    "uniformity": "uniformity",
    "effective_rank": "effective rank",
    "hubness": "hubness",
    "mutual_neighbours": "mutual neighbours (%)",
    "neighbours_kept": "neighbours kept (%)",
    "bank_agreement": "bank agreement (%)",
    "entropy_clean": "entropy (nats)",
}


@styled
def training_curves(epochs: list[dict]) -> Figure | None:
    """Loss and learning rate (logarithmic) over epochs, the rounds' starts marked.

    Args:
        epochs: epoch records of metrics.jsonl, with epoch, round, loss, learning_rate.

    Returns:
        Figure, or None without records.
    """
    if not epochs:
        return None
    figure, (loss, rate) = new_figure(3.9, rows=2, sharex=True, height_ratios=[2, 1])
    x = [record["epoch"] for record in epochs]
    marker = "o" if len(epochs) == 1 else None  # one point makes no line
    loss.plot(x, [record["loss"] for record in epochs], color=COLOURS[0], marker=marker)
    loss.set_title("loss (nats)")
    steps = [record["learning_rate"] for record in epochs]
    rate.plot(x, steps, color=COLOURS[1], marker=marker, drawstyle="steps-mid")
    rate.set_yscale("log")
    rate.set_title("learning rate")
    rate.set_xlabel("epoch")
    whole_numbers(rate)
    _mark_rounds(loss, epochs, named=True)
    _mark_rounds(rate, epochs)
    return figure


@styled
def accuracy_by_round(
    epochs: list[dict], evaluations: list[dict], raw_pixels: float | None
) -> Figure | None:
    """The paper's "training robustness": accuracy and consistency at the end of each round.

    Args:
        epochs, evaluations: records of metrics.jsonl; the last of a round counts for it.
        raw_pixels: kNN top-1 of the raw pixels in percent, or None.

    Returns:
        Figure of the `round_series`, or None where nothing was measured.
    """
    series = round_series(epochs, evaluations)
    if not series:
        return None
    figure, (axes,) = new_figure(3.4)
    for number, (name, points) in enumerate(series.items()):
        style = {"color": COLOURS[number], "marker": MARKERS[number]}
        axes.plot(*zip(*points, strict=True), label=ROUND_FIGURES[name], **style)
    if "knn_top1" in series and raw_pixels is not None:
        axes.axhline(raw_pixels, color=INK, linestyle="--", linewidth=1.2, label="kNN, raw pixels")
    axes.set_ylabel("percent")
    axes.set_xlabel("round")
    whole_numbers(axes)
    legend_above(axes)
    return figure


def round_series(epochs: list[dict], evaluations: list[dict]) -> dict[str, list[tuple[int, float]]]:
    """What the plot by round draws: (round, value) of each figure, the last value of each round.

    The figures with labels that were measured; without held-out ones kNN among the training
    images; without any labels stability of the neighbours and bank agreement.

    Args:
        epochs, evaluations: records of metrics.jsonl.
    """
    records = [*epochs, *evaluations]
    series = _by_round(records, WITH_LABELS)
    if "knn_top1" not in series:
        series = _by_round(records, IN_TRAINING) | series
    return series or _by_round(records, WITHOUT_LABELS)


def _by_round(records: list[dict], names: dict) -> dict[str, list[tuple[int, float]]]:
    """(round, value) of each figure that was measured, the last value of each round."""
    series = {}
    for name in names:
        last = {record["round"]: record[name] for record in records if name in record}
        if last:
            series[name] = sorted(last.items())
    return series


@styled
def label_free_curves(evaluations: list[dict]) -> Figure | None:
    """Small multiples of the figures that need no labels over epochs, with kNN where measured.

    Args:
        evaluations: evaluation records of metrics.jsonl.

    Returns:
        Figure, or None where none of them was measured.
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
        _mark_rounds(axes, evaluations)
    for axes in panels[len(present) :]:
        axes.set_axis_off()
    for axes in panels[len(present) - 2 : len(present)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("epoch", size="medium")
    return figure


def _mark_rounds(axes: Axes, records: list[dict], named: bool = False) -> None:
    """A dotted line after the last epoch of each round but the last."""
    last = {record["round"]: record["epoch"] for record in records}
    for number, epoch in sorted(last.items())[:-1]:
        axes.axvline(epoch + 0.5, color=INK, linestyle=":", linewidth=0.9, alpha=0.7)
        if named:
            place = {"xycoords": ("data", "axes fraction"), "va": "top"}
            axes.annotate(f" round {number + 1}", (epoch + 0.5, 1), **place)
