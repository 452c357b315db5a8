"""Which classes weighted kNN confuses."""

import numpy as np
from matplotlib.figure import Figure

from and_tf.evaluation.confusion import confusion_figure, confusion_matrix
from and_tf.evaluation.figure_style import figure_style
from and_tf.evaluation.knn_during_training import count_votes
from and_tf.report.context import ReportContext
from and_tf.report.plots.drawing import INK, Plot, save_svg
from and_tf.report.sample import Sample
from and_tf.report.section import Section, fill
from and_tf.search.votes import TEMPERATURE

MOST_NAMED = 30  # classes whose names are legible in a picture as wide as the page

TEMPLATE = """
<div class="wide">{{ page.plot(plot) }}</div>
{% if pairs %}<h3>Most frequent confusions</h3>
<ul>{% for name, other, count in pairs %}
<li>{{ name }} taken for {{ other }}: {{ count }} image{{ "" if count == 1 else "s" }}</li>
{% endfor %}</ul>{% endif %}
"""


def confusion_section(context: ReportContext) -> Section | None:
    """The confusion matrix; None without labels."""
    if context.predicted is None or context.queries is None:
        return None
    matrix = confusion_matrix(context.queries.labels, context.predicted, len(context.classes))
    pairs = most_confused(matrix, context.classes)
    plot = confusion_plot(matrix, context.classes, _caption(context.reference, context.queries))
    return Section("confusion", "Confusion", fill(TEMPLATE, plot=plot, pairs=pairs))


def _caption(reference: Sample, queries: Sample) -> str:
    return (
        f"Weighted kNN (K = {count_votes(reference.labels)}, temperature {TEMPERATURE}) of "
        f"{queries.describe('held-out')} against {reference.describe('training')}; rows: the "
        "percentage of each class that is predicted as each column"
    )


def confusion_plot(matrix: np.ndarray, classes: list[str], caption: str) -> Plot:
    """The confusion matrix as a picture.

    Args:
        matrix: (C, C) int.
        classes: C names.
        caption: without its full stop.
    """
    pairs = most_confused(matrix, classes)
    alt = f"Confusion matrix of {int(matrix.sum()):,} held-out images, {len(classes)} classes."
    if pairs:
        alt += f" Most frequent: {pairs[0][0]} taken for {pairs[0][1]}, {pairs[0][2]} images."
    if len(classes) > MOST_NAMED:
        caption += ", in the order of the labels: too many classes to name them"
    with figure_style():
        figure = _with_page_colours(confusion_figure(matrix, classes, MOST_NAMED))
    return Plot(save_svg(figure, alt), "Which classes are taken for which.", f"{caption}.")


def most_confused(
    matrix: np.ndarray, classes: list[str], most: int = 5
) -> list[tuple[str, str, int]]:
    """(class, predicted class, images) of the largest counts off the diagonal, largest first."""
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [divmod(int(cell), len(classes)) for cell in order]
    return [(classes[i], classes[j], int(wrong[i, j])) for i, j in cells if wrong[i, j]]


def _with_page_colours(figure: Figure) -> Figure:
    """Sets text outside the cells in the ink that `save_svg` replaces by the page's."""
    for axes in figure.axes:
        axes.set_facecolor("white")
        axes.tick_params(color=INK, labelcolor=INK)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(INK)
    return figure
