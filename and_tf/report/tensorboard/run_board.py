"""Writes a run's folder for TensorBoard."""

from pathlib import Path
from typing import Any

import numpy as np

from and_tf.data.subsets import evenly_spaced
from and_tf.report.context import ReportContext
from and_tf.report.record import Record
from and_tf.report.round_encoders import encoders_by_round
from and_tf.report.sample import Sample, nearest_others
from and_tf.report.tensorboard.projector import Points
from and_tf.report.tensorboard.writer import write_tensorboard
from and_tf.report.thumbnails import picture_side, sheet_side
from and_tf.search.nearest import nearest_rows
from and_tf.settings import fields_of, flat_values
from and_tf.training.settings import ExperimentSettings

MAX_POINTS = 2000  # the projector's t-SNE and UMAP run in the browser
QUERIES = 10  # rows in the picture of neighbours of each round
NEIGHBOURS = 7
PLACE = ("step", "epoch", "round")  # in a record, these are not metrics


def write_board(context: ReportContext) -> Path:
    """Writes RUN/tensorboard/report: projector, neighbours by round and hyperparameters.

    Returns:
        The folder to start TensorBoard on.

    Raises:
        UserError: if the folder of the report holds something else.
    """
    part = context.reference.take(evenly_spaced(len(context.reference), MAX_POINTS))
    rows = np.arange(len(part))
    points = Points(
        part.embeddings,
        part.load(rows, sheet_side(context.image_size)),
        [part.image_name(row) for row in rows],
        [part.class_name(row, context.classes) for row in rows],
    )
    galleries, is_wrong = _galleries_by_round(context, part)
    write_tensorboard(
        context.run.board,
        points,
        galleries=galleries,
        is_wrong=is_wrong,
        experiment=hyperparameters(context.settings),
        metrics=_last_metrics(context.record),
    )
    return context.run.tensorboard


def hyperparameters(settings: ExperimentSettings) -> dict[str, Any]:
    """The settings that influence a result and have a value."""
    free = {field.name for field in fields_of(settings) if field.details.may_change}
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in flat_values(settings).items()
        if name not in free and value not in (None, "", ())
    }


def _last_metrics(record: Record) -> dict[str, float]:
    names = {name for evaluation in record.evaluations for name in evaluation} - {*PLACE}
    return {name: value for name in sorted(names) if (value := record.latest(name)) is not None}


def _galleries_by_round(
    context: ReportContext, part: Sample
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """By round, tiles (m, 1 + k, H, W, 3) of queries and their nearest, and which are wrong."""
    queries, size = context.queries, context.image_size
    asked = part if queries is None else queries
    order = np.argsort(asked.labels, kind="stable")
    rows = order[evenly_spaced(len(order), QUERIES)]
    images, shown = asked.load(rows, size), asked.load(rows, picture_side(size))
    k = min(NEIGHBOURS, len(part) - 1)
    tiles, wrong = {}, {}
    for number, encoder in encoders_by_round(context.run, context.record.round_ends):
        embedded = part.embedded_by(encoder, size)
        if queries is None:
            near, _ = nearest_others(embedded, rows, k)
        else:
            near, _ = nearest_rows(embedded.embeddings, encoder.predict(images, verbose=0), k)
        tiles[number] = _tiles(part, shown, near)
        wrong[number] = _of_another_class(asked.labels[rows][:, None], part.labels[near])
    return tiles, wrong


def _tiles(part: Sample, shown: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(m, 1 + k, H, W, 3) uint8, each query (m, H, W, 3) followed by its nearest, `near` (m, k)."""
    nearest = part.load(near.ravel(), shown.shape[1]).reshape(*near.shape, *shown.shape[1:])
    return np.concatenate([shown[:, None], nearest], axis=1)


def _of_another_class(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(m, 1 + k) bool from labels (m, 1) and (m, k); False for the query itself."""
    is_other = (own >= 0) & (others >= 0) & (own != others)  # (m, k)
    return np.concatenate([np.zeros_like(own, bool), is_other], axis=1)
