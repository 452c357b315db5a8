"""Plots of the kept round ends: what entropy says about neighbourhoods."""

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from and_tf.report.drawing import (
    COLOURS,
    INK,
    MARKERS,
    evenly_chosen,
    legend_above,
    new_figure,
    styled,
)

DECILES = 10
MOST_LINES = 6  # rounds in one plot; of more, evenly chosen ones
MOST_ROWS = 8
BINS = 50


def consistency_deciles(
    entropy: np.ndarray, neighbours: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Share of neighbours with the image's label, by decile of entropy.

    Args:
        entropy: (N,) float, of each image's neighbourhood.
        neighbours: (N, k) int, their rows.
        labels: (N,) int, -1 where unknown: such pairs are left out.

    Returns:
        (10,) float64, percent, from the lowest entropy to the highest; NaN where no pair is left.

    Reference: Huang et al., ICML 2019, figure on consistency against entropy.
    """
    own, others = labels[:, None], labels[neighbours]  # (N, 1), (N, k)
    is_known = (own >= 0) & (others >= 0)  # (N, k)
    return _decile_shares(entropy, (own == others) & is_known, is_known)


def stability_deciles(
    entropy: np.ndarray, neighbours: np.ndarray, later_neighbours: np.ndarray
) -> np.ndarray:
    """Share of neighbours that the next round finds again, by decile of entropy.

    Args:
        entropy: (N,) float.
        neighbours, later_neighbours: (N, k) int, of one round and of the next.

    Returns:
        (10,) float64, percent, from the lowest entropy to the highest; NaN where there is no image.
    """
    is_kept = (neighbours[:, :, None] == later_neighbours[:, None, :]).any(axis=2)  # (N, k)
    return _decile_shares(entropy, is_kept, np.ones_like(is_kept))


def _decile_shares(entropy: np.ndarray, is_hit: np.ndarray, is_counted: np.ndarray) -> np.ndarray:
    shares = np.full(DECILES, np.nan)
    order = np.argsort(entropy, kind="stable")
    for decile, rows in enumerate(np.array_split(order, DECILES)):
        if is_counted[rows].any():
            shares[decile] = 100 * is_hit[rows].sum() / is_counted[rows].sum()
    return shares


@styled
def consistency_by_entropy(round_ends: list[dict], labels: np.ndarray | None) -> Figure | None:
    """Consistency of neighbours against entropy, a line a round: solid over the anchors.

    Without labels: the stability of neighbours to the next round.

    Args:
        round_ends: round, entropy (N,), neighbours (N, k) and is_anchor (N,) of each kept round.
        labels: (N,) int, -1 where unknown; or None.

    Returns:
        Figure, or None where no round has neighbours (or, without labels, a next round).
    """
    lines = _lines(_discovered(round_ends), labels)
    if not lines:
        return None
    figure, (axes,) = new_figure(3.6)
    for number, (end, shares) in enumerate(evenly_chosen(lines, MOST_LINES)):
        style = {"color": COLOURS[number], "marker": MARKERS[number]}
        _plot_by_anchors(axes, shares, _anchor_deciles(end), f"round {end['round']}", style)
    if any(end["is_anchor"].any() for end, _ in lines):
        axes.plot([], [], color=INK, label="anchors")
    axes.plot([], [], color=INK, linestyle=":", label="others")
    axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
    axes.set_xticks(range(1, DECILES + 1))
    axes.set_xlabel("decile of entropy, lowest first")
    axes.set_ylabel("consistency (%)" if _has_labels(labels) else "found again next round (%)")
    legend_above(axes, columns=3)
    return figure


def _discovered(round_ends: list[dict]) -> list[dict]:
    """Round ends with neighbours, in order: round 0 has none yet."""
    return sorted((end for end in round_ends if end["round"] > 0), key=lambda end: end["round"])


def _has_labels(labels: np.ndarray | None) -> bool:
    return labels is not None and bool((labels >= 0).any())


def _lines(ends: list[dict], labels: np.ndarray | None) -> list[tuple[dict, np.ndarray]]:
    """Round ends with their shares (10,) in percent."""
    if _has_labels(labels):
        return [
            (end, consistency_deciles(end["entropy"], end["neighbours"], labels)) for end in ends
        ]
    return [
        (end, stability_deciles(end["entropy"], end["neighbours"], later["neighbours"]))
        for end, later in itertools.pairwise(ends)
        if later["round"] == end["round"] + 1
    ]


def _anchor_deciles(end: dict) -> float:
    """How many deciles from the lowest are anchors; 0 where others are among the lowest."""
    is_anchor = end["is_anchor"].astype(bool)
    if is_anchor.all():
        return DECILES
    entropy = end["entropy"]
    if not is_anchor.any() or entropy[is_anchor].max() > entropy[~is_anchor].min():
        return 0
    return DECILES * float(is_anchor.mean())


def _plot_by_anchors(axes: Axes, shares, anchor_deciles: float, name: str, style: dict) -> None:
    """A line through (10,) shares, solid up to where the anchors end and dotted from there."""
    x = np.arange(1, DECILES + 1)
    end = anchor_deciles + 0.5  # decile d reaches from d - 0.5 to d + 0.5
    between = np.interp(end, x, shares)
    if anchor_deciles:
        inside = x <= end
        axes.plot([*x[inside], min(end, DECILES)], [*shares[inside], between], color=style["color"])
    if anchor_deciles < DECILES:
        outside = x > end
        rest = [*shares[outside]]
        axes.plot([max(end, 1), *x[outside]], [between, *rest], ":", color=style["color"])
    axes.plot(x, shares, linestyle="none", label=name, **style)


@styled
def entropy_distribution(round_ends: list[dict]) -> Figure | None:
    """A histogram of the images' entropy a round, anchors filled.

    Args:
        round_ends: round, entropy (N,) and is_anchor (N,) of each kept round.

    Returns:
        Figure, or None where no round has discovered neighbourhoods.
    """
    ends = evenly_chosen(_discovered(round_ends), MOST_ROWS)
    if not ends:
        return None
    figure, rows = new_figure(0.9 + 0.8 * len(ends), rows=len(ends), sharex=True)
    lowest, highest = (f(f(end["entropy"]) for end in ends) for f in (min, max))
    bins = np.linspace(lowest, max(highest, lowest + 1e-3), BINS + 1)
    for axes, end in zip(rows, ends, strict=True):
        _plot_entropy(axes, end, bins)
        axes.set_title(f"round {end['round']}, median {np.median(end['entropy']):.2f}")
    rows[-1].set_xlabel(f"entropy in nats, at most ln N = {np.log(len(ends[0]['entropy'])):.2f}")
    legend_above(rows[0])
    return figure


def _plot_entropy(axes: Axes, end: dict, bins: np.ndarray) -> None:
    is_anchor = end["is_anchor"].astype(bool)
    anchors, _ = np.histogram(end["entropy"][is_anchor], bins)
    everyone, _ = np.histogram(end["entropy"], bins)
    axes.stairs(anchors, bins, fill=True, color=COLOURS[0], label="anchors")
    axes.stairs(everyone, bins, baseline=anchors, fill=True, color=INK, alpha=0.3, label="others")
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
