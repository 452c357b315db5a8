"""Which classes are taken for which: a matrix, tables and a picture."""

import io
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from and_tf.errors import UserError
from and_tf.evaluation.figure_style import figure_style
from and_tf.runs.csv_cells import row_writer

NUMBERED_CLASSES = 20  # with more there is no room for numbers in the cells
NAMED_CLASSES = 100  # with more some rows and columns have no name
LONGEST_NAME = 24
UNNAMED_SIDE = 5.0  # inches; with margins and scale, the width of a picture on a page


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Number of images by class (rows) and predicted class (columns).

    Args:
        labels: (Q,) int below num_classes; images with label -1 are left out.
        predictions: (Q,) int in 0..num_classes - 1.
        num_classes: C.

    Returns:
        (C, C) int64.

    Raises:
        UserError: if a label or prediction is out of range.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    labels, predictions = labels[labels >= 0], predictions[labels >= 0]
    for values, name in ((labels, "labels"), (predictions, "predictions")):
        if len(values) and not 0 <= values.min() <= values.max() < num_classes:
            raise UserError(
                f"{name} must be in 0..{num_classes - 1}. Received {values.min()}..{values.max()}."
            )
    cells = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def per_class_table(matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """CSV with each class, its number of images, how many are correct, and top-1 in percent.

    Args:
        matrix: (C, C) int, from `confusion_matrix`.
        class_names: C names.

    Returns:
        Text of C + 1 lines; `top1` is empty for a class without images.
    """
    rows: list[list[object]] = [["class", "images", "correct", "top1"]]
    for name, images, correct in zip(
        class_names, matrix.sum(axis=1), matrix.diagonal(), strict=True
    ):
        rows.append([name, images, correct, f"{100 * correct / images:.2f}" if images else ""])
    return _csv(rows)


def confusion_table(matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """CSV of the matrix: a line for each class, a column for each predicted class, all named."""
    rows: list[list[object]] = [["class / predicted", *class_names]]
    rows += [[name, *counts] for name, counts in zip(class_names, matrix, strict=True)]
    return _csv(rows)


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    write_row = row_writer(text, "\n")
    for row in rows:
        write_row(row)
    return text.getvalue()


def confusion_figure(
    matrix: np.ndarray, class_names: Sequence[str], most_named: int | None = None
) -> Figure:
    """Figure of a confusion matrix: the percentage of each class (row) predicted as each (column).

    Up to 20 classes, cells show their number; up to 100, every class is named, beyond that some of
    them. With more than `most_named` classes none is named, and the figure is no wider than a page.

    Args:
        matrix: (C, C) int, from `confusion_matrix`.
        class_names: C names.
        most_named: for a figure that cannot be enlarged; None for no such limit.

    Returns:
        A new `Figure` that pyplot does not know: `figure.savefig(file)`.
    """
    num_classes = len(matrix)
    images = matrix.sum(axis=1, keepdims=True)  # (C, 1)
    percent = 100 * matrix / np.maximum(images, 1)  # (C, C)
    numbered = num_classes <= NUMBERED_CLASSES
    side = max(3.5, (0.45 if numbered else 0.16) * min(num_classes, NAMED_CLASSES))  # inches
    if most_named is not None and num_classes > most_named:
        class_names, side = [""] * num_classes, min(side, UNNAMED_SIDE)
    figure = Figure(figsize=(side + 2.2, side + 1.4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    # Square root scale, so that a few percent, as usual among many classes, remain visible.
    image = axes.imshow(percent, cmap="Blues", norm=PowerNorm(0.5, 0, 100))
    _name_axes(axes, class_names, font_size=9 if numbered else 7)
    if numbered:
        _write_numbers(axes, percent)
    figure.colorbar(image, label="percent of the class", shrink=0.8, aspect=30)
    return figure


def _name_axes(axes: Axes, class_names: Sequence[str], font_size: int) -> None:
    step = -(-len(class_names) // NAMED_CLASSES)
    shown = range(0, len(class_names), step) if any(class_names) else ()
    names = [_plain(class_names[number]) for number in shown]
    axes.set_xticks(shown, names, rotation=90, fontsize=font_size)
    axes.set_yticks(shown, names, fontsize=font_size)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")


def _plain(name: str) -> str:
    """A name that fits and is drawn literally: no formula between dollars, no invalid UTF-8."""
    name = str(name).encode("utf-8", "replace").decode()
    name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return name.replace("$", r"\$")


def _write_numbers(axes: Axes, percent: np.ndarray) -> None:
    for row, column in np.ndindex(percent.shape):
        if percent[row, column] >= 0.5:  # zeros would hide the few numbers that matter
            colour = "white" if percent[row, column] > 30 else "black"
            text = f"{percent[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)


def confusion_png(matrix: np.ndarray, class_names: Sequence[str]) -> bytes:
    """`confusion_figure` as the bytes of a PNG file."""
    file = io.BytesIO()
    with figure_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # names in any script
        confusion_figure(matrix, class_names).savefig(file, format="png")
    return file.getvalue()
