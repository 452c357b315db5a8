"""Accuracy and consistency at the end of each round: the paper's "training robustness"."""

from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from and_tf.report.plots.drawing import (
    COLOURS,
    INK,
    MARKERS,
    Plot,
    legend_above,
    new_figure,
    save_svg,
    styled,
    whole_numbers,
)
from and_tf.report.record import Record

Series = dict[str, list[tuple[int, float]]]

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
TITLES = WITH_LABELS | IN_TRAINING | WITHOUT_LABELS

# What each line is, for the caption.
DESCRIPTIONS = {
    "knn_top1": "kNN accuracy of held-out images against clean features",
    "knn_top1_bank": "their accuracy against the memory bank",
    "knn_top1_train": "kNN accuracy of training images among the other training images",
    "consistency": "consistency of the neighbours that the round began with",
    "stability": "fraction of the previous round's neighbours that its start found again",
    "bank_agreement": "fraction of the nearest by clean features that are nearest in the bank too",
}


def accuracy_plot(record: Record) -> Plot | None:
    """Metrics of a run by round; None if nothing was measured."""
    raw_pixels = record.metadata.get("raw_pixels_knn_top1")
    figure = accuracy_by_round(record.epochs, record.evaluations, raw_pixels)
    if figure is None:
        return None
    series = round_series(record.epochs, record.evaluations)
    values = [
        f"{TITLES[name]} {', '.join(f'{value:.1f}' for _, value in points)}"
        for name, points in series.items()
    ]
    title = "Training robustness." if "knn_top1" in series else "Metrics by round."
    caption = f"By round: {'; '.join(DESCRIPTIONS[name] for name in series)}."
    alt = f"Line plot by round, in percent: {'; '.join(values)}."
    return Plot(save_svg(figure, alt), title, caption)


@styled
def accuracy_by_round(
    epochs: list[dict], evaluations: list[dict], raw_pixels: float | None
) -> Figure | None:
    """Lines through the metrics at the end of each round.

    Args:
        epochs, evaluations: records of metrics.jsonl; the last of each round counts.
        raw_pixels: kNN top-1 of the raw pixels in percent, or None.

    Returns:
        Figure of the `round_series`, or None if nothing was measured.
    """
    series = round_series(epochs, evaluations)
    if not series:
        return None
    figure, (axes,) = new_figure(3.4)
    for number, (name, points) in enumerate(series.items()):
        rounds, values = zip(*points, strict=True)
        axes.plot(rounds, values, label=TITLES[name], color=COLOURS[number], marker=MARKERS[number])
    if "knn_top1" in series and raw_pixels is not None:
        axes.axhline(raw_pixels, color=INK, linestyle="--", linewidth=1.2, label="kNN, raw pixels")
    axes.set_ylabel("percent")
    axes.set_xlabel("round")
    whole_numbers(axes)
    legend_above(axes)
    return figure


def round_series(epochs: list[dict], evaluations: list[dict]) -> Series:
    """What the plot by round shows: (round, value) of each metric, the last value of each round.

    These are the metrics that need labels; without held-out labels, kNN among the training images
    and the others; without any labels, stability of the neighbours and bank agreement.

    Args:
        epochs, evaluations: records of metrics.jsonl.
    """
    records = [*epochs, *evaluations]
    series = _by_round(records, WITH_LABELS)
    if "knn_top1" not in series:
        series = _by_round(records, IN_TRAINING) | series
    return series or _by_round(records, WITHOUT_LABELS)


def _by_round(records: Sequence[dict], names: Iterable[str]) -> Series:
    """(round, value) of each metric that was measured, the last value of each round."""
    series: Series = {}
    for name in names:
        last = {record["round"]: record[name] for record in records if name in record}
        if last:
            series[name] = sorted(last.items())
    return series
