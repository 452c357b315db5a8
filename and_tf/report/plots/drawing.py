"""How plots look and how they are saved: as SVG that follows a page's theme, or as PNG on white.

Text and grid are drawn in the colours of a light page, which a dark page has to change. `save_svg`
replaces them by `currentColor` and the CSS variable `--grid`. The other colours of the series stay:
each stands out from white and near black (contrast 3.4 to 5.4), and from the others to colour-blind
readers (after Okabe and Ito 2008). Markers distinguish the series without colour.
"""

import dataclasses
import html
import io
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from and_tf.evaluation.figure_style import figure_style

INK = "#1b1c1d"
GRID = "#d9dadb"
COLOURS = ("#2f81c7", "#d55e00", "#009e73", "#b565a7", "#a67c00", INK)
MARKERS = ("o", "s", "^", "D", "v", "X")

WIDTH = 4.8  # inches of 100 pixels: letters of 13 pixels still have 9 on a phone
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "and_tf",
    "figure.dpi": 100,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "font.size": 9.5,  # points; 13 pixels
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 5.5,
    "legend.columnspacing": 1.2,
}


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot as a section shows it.

    Attributes:
        svg: element of an HTML page, from `save_svg`.
        title, caption: shown below it.
    """

    svg: str
    title: str
    caption: str


# A decorator: a plot function draws in this style, and the global style does not change.
styled = figure_style(STYLE)


def new_figure(
    height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure as wide as the page and `height` inches high, and its axes row by row."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def legend_above(axes: Axes, columns: int = 2) -> None:
    """Puts the legend of `axes` above all axes, where no line can cross it."""
    handles, names = axes.get_legend_handles_labels()
    axes.figure.legend(handles, names, loc="outside upper left", ncols=columns, borderaxespad=0)


def whole_numbers(axes: Axes, most: int = 9) -> None:
    """Sets integer ticks, for epochs or rounds."""
    locator = MaxNLocator(most, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    axes.xaxis.set_major_locator(locator)


def mark_rounds(axes: Axes, records: Sequence[dict], named: bool = False) -> None:
    """Draws a dotted line after the last epoch of each round except the last."""
    last = {record["round"]: record["epoch"] for record in records}
    for number, epoch in sorted(last.items())[:-1]:
        axes.axvline(epoch + 0.5, color=INK, linestyle=":", linewidth=0.9, alpha=0.7)
        if named:
            axes.annotate(
                f" round {number + 1}",
                (epoch + 0.5, 1),
                xycoords=("data", "axes fraction"),
                va="top",
            )


def save_svg(figure: Figure, alt: str) -> str:
    """The figure as an element of an HTML page.

    Args:
        figure: drawn by a `styled` function.
        alt: description for readers who do not see the picture; becomes its title.

    Returns:
        str, an `<svg>` as wide as its parent, at most 640 px unless the page's CSS says otherwise
        (class `plot`). Its ids are unique to its content, so that a page can hold several.
    """
    file = io.StringIO()
    with figure_style(STYLE):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    key = f"p{zlib.crc32((alt + text).encode()):08x}"
    useless = r"<metadata>.*?</metadata>|<!--.*?-->"
    body = re.sub(useless, "", text[text.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", body)
    body = body.replace(INK, "currentColor").replace(GRID, "var(--grid, #8886)")
    body = body.replace("*{", ".plot *{")  # a style element in an SVG applies to the whole page
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", body)
    return re.sub(r"<svg[^>]*>", lambda match: _opening(match[0], key, alt), body, count=1)


def _opening(tag: str, key: str, alt: str) -> str:
    view_box = re.findall(r'viewBox="([^"]*)"', tag)[0]
    return (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view_box}" width="100%" '
        f'style="max-width:640px" role="img" aria-labelledby="{key}-title">\n'
        f'<title id="{key}-title">{html.escape(alt)}</title>'
    )


def save_png(figure: Figure, path: str | Path) -> None:
    """Saves the figure as a PNG on white, 960 pixels wide."""
    with figure_style(STYLE):
        figure.savefig(path, format="png", dpi=200, facecolor="white")
