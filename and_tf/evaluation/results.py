"""What evaluate.py leaves in RUN/evaluations: one JSON file a question, and tables of classes.

The JSON file holds
    classifier   knn, nn, linear, retrieval or clusters
    protocol     the protocol in words
    layer        the encoder's name of the layer, or `all`
    reference    name and number of the reference images (left out for clusters)
    queries      name and number of the images that the figures are of
    step, epoch  of the checkpoint
    rows         a list with one object for each layer and setting:
                   layer, values (of a feature)
                   settings   k, temperature (knn); regularisation, converged (linear); shots, seeds
                              (linear, --few_shot); clusters, filled (not empty), seeds (clusters)
                   figures    top1, top5 (percent); recall_at_1, recall_at_5, recall_at_10,
                              mean_average_precision (percent); nmi, ari, silhouette (at most 1),
                              hungarian_accuracy (percent)
                   NAME_deviation, the deviation of a figure that is a mean over seeds
    NAME         the figures once more where there is a single row
    notes        sentences on what a reader must know, such as a sweep on the evaluation images
    files        names of the tables and pictures beside the file, of the first setting of each
                 layer: STEM.per_class.csv, STEM.confusion.csv, STEM.confusion.png, where STEM is
                 that of the JSON file, with .LAYER appended if there are several layers.
Top-5 of weighted kNN counts classes with a vote only: with K below 5 there are fewer than five.
A figure that was not measured is left out, never null.
"""

import hashlib
import json
import os
import re
import types
from pathlib import Path

from and_tf.evaluation import confusion
from and_tf.runs.atomic_files import replace_file

TITLES = {
    "k": "K", "temperature": "temperature", "shots": "labels a class", "clusters": "clusters",
    "regularisation": "C", "top1": "top-1 %", "top5": "top-5 %", "recall_at_1": "recall@1 %",
    "recall_at_5": "recall@5 %", "recall_at_10": "recall@10 %", "mean_average_precision": "mAP %",
    "nmi": "NMI", "ari": "ARI", "hungarian_accuracy": "accuracy %", "silhouette": "silhouette",
}  # fmt: skip
SETTINGS = ("k", "temperature", "shots", "clusters", "regularisation")
FIGURES = tuple(name for name in TITLES if name not in SETTINGS)
LONGEST_BYTES = 160  # of a stem: file systems take names of 255


def file_stem(options: types.SimpleNamespace) -> str:
    """A name for each question: what differs from the protocol and the run's own data is in it.

    Args:
        options: values of `flags.evaluate_flags()`, `layer` as the encoder names it.
    """
    words = [options.classifier, options.layer, options.bank]
    k, temperatures = options.k or [200], options.knn_temperature or [0.1]
    if (k, temperatures) != ([200], [0.1]):
        words.append(f"k{_joined(k)}_t{_joined(temperatures)}")
    if options.few_shot:
        words.append(f"shots{_joined(options.few_shot)}_seeds{options.few_shot_seeds or 5}")
    if options.clusters:
        words.append(f"clusters{options.clusters}")
    if options.max_values != 9000:
        words.append(f"max{options.max_values}")
    for name in ("data", "train_split", "eval_split", "eval_data", "labels"):
        if getattr(options, name):
            words.append(f"{name}-{getattr(options, name)}")
    plain = "_".join(words)
    stem = re.sub(r"[^\w.-]+", "-", plain)
    if stem != plain or len(os.fsencode(stem)) > LONGEST_BYTES:
        mark = hashlib.sha256(os.fsencode(plain)).hexdigest()[:8]  # of what the name cannot hold
        stem = re.sub(r"[^\w.-]", "", stem, flags=re.ASCII)[: LONGEST_BYTES - 9] + "_" + mark
    return stem


def _joined(values):
    return "-".join(f"{value:g}" for value in values)


def write_results(folder: Path, stem: str, report: dict, matrices: dict, class_names: list) -> Path:
    """Writes tables and pictures, then the report that names them; an older report stays till then.

    Args:
        folder: of the evaluations.
        stem: of the file names.
        report: as described above, without `files`; they are added.
        matrices: {layer: (C, C) int confusion matrix}, may be empty.
        class_names: C names.

    Returns:
        Path of the JSON file.
    """
    report["files"] = []
    for layer, matrix in matrices.items():
        part = f"{stem}.{layer}" if len(matrices) > 1 else stem
        tables = {
            "per_class.csv": confusion.per_class_table(matrix, class_names),
            "confusion.csv": confusion.confusion_table(matrix, class_names),
            "confusion.png": confusion.confusion_png(matrix, class_names),
        }
        for ending, content in tables.items():
            report["files"].append(replace_file(folder / f"{part}.{ending}", content).name)
    return replace_file(folder / f"{stem}.json", json.dumps(report, indent=2) + "\n")


def table(rows: list[dict]) -> str:
    """Rows of a report as text: a line a setting; of several layers, a column a layer.

    The columns of layers are the paper's row. Figures stand below one another, so that a line
    compares layers, and means over seeds have their deviation in brackets.
    """
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    if len(layers) == 1:
        names = [name for name in TITLES if any(name in row for row in rows)]
        lines = [[TITLES[name] for name in names]]
        lines += [[_cell(row, name) for name in names] for row in rows]
    else:
        lines = [["", *layers], *_lines_by_figure(rows, layers)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _lines_by_figure(rows, layers):
    """A line for each figure and setting, with a cell a layer."""
    cells = {}
    settings = [name for name in ("k", "temperature", "shots") if _varies(rows, name)]
    for name in FIGURES:
        for row in (row for row in rows if name in row):
            words = [TITLES[name], *(f"{TITLES[s]} {row[s]:g}" for s in settings)]
            cells.setdefault(", ".join(words), {})[row["layer"]] = _cell(row, name)
    return [[words, *(found.get(layer, "") for layer in layers)] for words, found in cells.items()]


def _varies(rows, name):
    return len({row.get(name) for row in rows}) > 1


def _cell(row, name):
    if name not in row:
        return ""
    if name in SETTINGS:
        return f"{row[name]:g}"
    form = ".2f" if TITLES[name].endswith("%") else ".3f"
    deviation = row.get(f"{name}_deviation")
    return f"{row[name]:{form}}" + ("" if deviation is None else f" ({deviation:{form}})")
