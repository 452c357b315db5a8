"""What evaluate.py writes to RUN/evaluations: one JSON file per question, and tables of classes.

The JSON file holds
    classifier   the protocol's name, a key of `PROTOCOLS`
    protocol     its description
    layer        the encoder's name of the layer, or `all`
    checkpoint   last, best or round_N
    reference    name and number of the reference images (left out for clusters)
    queries      name and number of the images on which the metrics are measured
    step, epoch  of the checkpoint
    rows         a list with one object for each layer and setting:
                   layer, values (of a feature)
                   settings   k, temperature (knn); regularisation, converged (linear); epochs
                              (linear by SGD), crops (of these and of ten crops); shots, seeds
                              (few labels); clusters, filled (not empty), seeds (clusters)
                   metrics    top1, top5 (percent); recall_at_1, recall_at_5, recall_at_10,
                              mean_average_precision (percent); nmi, ari, silhouette (at most 1),
                              hungarian_accuracy (percent)
                   NAME_deviation, the standard deviation of a metric that is a mean over seeds
    NAME         the metrics repeated, if there is a single row
    notes        sentences that a reader must know, such as on a sweep on the evaluation images
    files        names of the tables and pictures next to the file, for the first setting of each
                 layer: STEM.per_class.csv, STEM.confusion.csv, STEM.confusion.png, where STEM is
                 that of the JSON file, with .LAYER appended if there are several layers.
Top-5 of weighted kNN counts only classes with a vote: with K below 5 there are fewer than five.
A metric that was not measured is left out, never null.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.evaluation import confusion
from and_tf.evaluation.protocols import PROTOCOLS
from and_tf.evaluation.settings import EvaluationSettings
from and_tf.runs.atomic_files import replace_file

# Names of settings and of metrics in rows, each with its column's title.
SETTINGS = {name: title for p in PROTOCOLS.values() for name, title in p.setting_titles.items()}
METRICS = {name: title for p in PROTOCOLS.values() for name, title in p.metric_titles.items()}
TITLES = SETTINGS | METRICS
LONGEST_BYTES = 160  # of a stem; file systems allow names of 255


def file_stem(settings: EvaluationSettings, layer: str) -> str:
    """A distinct file name for each question: it includes all settings that are not the defaults.

    Args:
        settings: of the evaluation.
        layer: as the encoder names it.
    """
    features, images = settings.features, settings.images
    words = [settings.choice.classifier, layer, features.bank]
    if settings.run.checkpoint != "last":
        words.append(settings.run.checkpoint)
    words += settings.protocol.file_name_parts()
    if features.max_values not in (None, settings.protocol.max_values):
        words.append(f"max{features.max_values}")
    for name in ("data", "train_split", "eval_split", "eval_data", "labels"):
        if getattr(images, name) is not None:
            words.append(f"{name}-{getattr(images, name)}")
    plain = "_".join(words)
    stem = re.sub(r"[^\w.-]+", "-", plain)
    if stem != plain or len(os.fsencode(stem)) > LONGEST_BYTES:
        mark = hashlib.sha256(os.fsencode(plain)).hexdigest()[:8]  # for what the name cannot hold
        stem = re.sub(r"[^\w.-]", "", stem, flags=re.ASCII)[: LONGEST_BYTES - 9] + "_" + mark
    return stem


def write_results(
    folder: Path,
    stem: str,
    report: dict[str, Any],
    matrices: dict[str, np.ndarray],
    class_names: list[str],
) -> Path:
    """Writes tables and pictures, then the report that names them, which replaces an older one.

    Args:
        folder: of the evaluations.
        stem: of the file names.
        report: as described above, without `files`, which are added to it.
        matrices: {layer: (C, C) int confusion matrix}, may be empty.
        class_names: C names.

    Returns:
        Path of the JSON file.
    """
    report["files"] = []
    for layer, matrix in matrices.items():
        part = f"{stem}.{layer}" if len(matrices) > 1 else stem
        tables: dict[str, str | bytes] = {
            "per_class.csv": confusion.per_class_table(matrix, class_names),
            "confusion.csv": confusion.confusion_table(matrix, class_names),
            "confusion.png": confusion.confusion_png(matrix, class_names),
        }
        for ending, content in tables.items():
            report["files"].append(replace_file(folder / f"{part}.{ending}", content).name)
    return replace_file(folder / f"{stem}.json", json.dumps(report, indent=2) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of a report as text: a line per setting, or with several layers, a column per layer.

    With several layers each metric has a line, as in the paper's tables, which compares the layers.
    Means over seeds have their standard deviation in brackets.
    """
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    if len(layers) == 1:
        names = [name for name in TITLES if any(name in row for row in rows)]
        lines = [[TITLES[name] for name in names]]
        lines += [[_cell(row, name) for name in names] for row in rows]
    else:
        lines = [["", *layers], *_lines_by_metric(rows, layers)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _lines_by_metric(rows: list[dict], layers: list[str]) -> list[list[str]]:
    """A line for each metric and setting, with a cell per layer."""
    cells: dict[str, dict[str, str]] = {}
    of_one = [row for row in rows if row["layer"] == layers[0]]
    varying = [name for name in SETTINGS if len({row.get(name) for row in of_one}) > 1]
    for name in METRICS:
        for row in (row for row in rows if name in row):
            words = [TITLES[name], *(f"{TITLES[s]} {row[s]:g}" for s in varying)]
            cells.setdefault(", ".join(words), {})[row["layer"]] = _cell(row, name)
    return [[words, *(found.get(layer, "") for layer in layers)] for words, found in cells.items()]


def _cell(row: dict, name: str) -> str:
    if name not in row:
        return ""
    if name in SETTINGS:
        return f"{row[name]:g}"
    form = ".2f" if TITLES[name].endswith("%") else ".3f"
    std = row.get(f"{name}_deviation")
    return f"{row[name]:{form}}" + ("" if std is None else f" ({std:{form}})")
