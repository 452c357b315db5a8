"""Loss and learning rate over epochs."""

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


def training_plot(record: Record) -> Plot | None:
    """Loss and learning rate of a run; None before its first epoch."""
    figure = training_curves(record.epochs)
    if figure is None:
        return None
    first, last = record.epochs[0], record.epochs[-1]
    alt = (
        f"Line plot: loss over {record.epochs_done} epochs, from {first['loss']:.2f} to "
        f"{last['loss']:.2f} nats, above the learning rate."
    )
    found = record.discoveries
    selected = "neighbours" if found else ""
    selected = "anchors and neighbours" if any(d.is_anchor.any() for d in found) else selected
    caption = f"Dotted: a round begins{f', with {selected} selected again' if selected else ''}."
    return Plot(save_svg(figure, alt), "Loss and learning rate.", caption)


@styled
def training_curves(epochs: list[dict]) -> Figure | None:
    """Loss and learning rate (logarithmic) over epochs, with the start of each round marked.

    Args:
        epochs: epoch records of metrics.jsonl, with epoch, round, loss, learning_rate.

    Returns:
        Figure, or None without records.
    """
    if not epochs:
        return None
    figure, (loss, rate) = new_figure(3.9, rows=2, sharex=True, height_ratios=[2, 1])
    x = [record["epoch"] for record in epochs]
    marker = "o" if len(epochs) == 1 else None  # a single point has no line
    loss.plot(x, [record["loss"] for record in epochs], color=COLOURS[0], marker=marker)
    loss.set_title("loss (nats)")
    steps = [record["learning_rate"] for record in epochs]
    rate.plot(x, steps, color=COLOURS[1], marker=marker, drawstyle="steps-mid")
    rate.set_yscale("log")
    rate.set_title("learning rate")
    rate.set_xlabel("epoch")
    whole_numbers(rate)
    mark_rounds(loss, epochs, named=True)
    mark_rounds(rate, epochs)
    return figure
