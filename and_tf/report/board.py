"""A run's data for TensorBoard, from the samples that the page is made of."""

from pathlib import Path

import numpy as np

from and_tf.evaluation import extract
from and_tf.evaluation.knn import nearest_rows
from and_tf.report.attention import encoders_by_round
from and_tf.report.explorer import image_name
from and_tf.report.record import Record
from and_tf.report.sample import Sample, nearest_others
from and_tf.report.tensorboard import MAX_POINTS, experiment_flags, write_tensorboard
from and_tf.report.thumbnails import picture_side, sheet_side
from and_tf.runs.workdir import Workdir
from and_tf.training.online_evaluation import METRICS

QUERIES = 10  # rows of the neighbour images of each round
NEIGHBOURS = 7


def write_board(
    run: Workdir, record: Record, reference: Sample, queries: Sample | None, classes: list[str]
) -> Path:
    """Writes RUN/tensorboard/report: projector, neighbours by round and hyperparameters.

    Args:
        run, record: the run.
        reference, queries: samples of the training and the held-out images; queries may be None.
        classes: names of the labels; empty without labels.

    Returns:
        The folder for `tensorboard --logdir`.

    Raises:
        ValueError: if that folder holds something else.
    """
    part = _part(reference, _spread(np.arange(len(reference)), MAX_POINTS))
    rows = np.arange(len(part))
    galleries, is_wrong = _galleries_by_round(run, record, part, queries)
    figures = {name: record.latest(name) for name in METRICS}
    write_tensorboard(
        run.tensorboard / "report",
        part.embeddings,
        part.load(rows, sheet_side(record.options.image_size)),
        labels=part.labels if classes else None,
        names=[image_name(part, row) for row in rows],
        class_names=classes or None,
        galleries=galleries,
        is_wrong=is_wrong,
        experiment=experiment_flags(record.options),
        metrics={name: value for name, value in figures.items() if value is not None},
    )
    return run.tensorboard


def _galleries_by_round(run, record, part, queries):
    """Tiles (m, 1 + k, H, W, 3) of queries and their nearest, and which are wrong, by round."""
    if not record.round_ends:
        return {}, {}
    asked = part if queries is None else queries
    rows = _spread(np.argsort(asked.labels, kind="stable"), QUERIES)
    size, side = record.options.image_size, picture_side(record.options.image_size)
    images, shown = asked.load(rows, size), asked.load(rows, side)
    source = part.whole.take(part.indices)
    k = min(NEIGHBOURS, len(part) - 1)
    tiles, wrong = {}, {}
    for number, encoder in encoders_by_round(run):
        embeddings = extract(encoder, source, size, progress=False)
        if queries is None:
            near, _ = nearest_others(Sample(part.whole, part.indices, embeddings), rows, k)
        else:
            near, _ = nearest_rows(embeddings, encoder.predict(images, verbose=0), k)
        nearest = part.load(near.ravel(), side).reshape(*near.shape, side, side, 3)
        tiles[number] = np.concatenate([shown[:, None], nearest], axis=1)
        own, others = asked.labels[rows][:, None], part.labels[near]
        is_other = (own >= 0) & (others >= 0) & (own != others)  # (m, k)
        wrong[number] = np.concatenate([np.zeros_like(own, bool), is_other], axis=1)
    return tiles, wrong


def _part(sample, rows):
    return Sample(sample.whole, sample.indices[rows], sample.embeddings[rows])


def _spread(rows, most):
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
