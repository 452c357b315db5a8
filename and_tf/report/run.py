"""report.py: reads a run, embeds a sample of its images and writes the page."""

import shlex
import sys
import types
from pathlib import Path

import keras
import numpy as np

from and_tf.data.sources import opening
from and_tf.data.sources.source import Source
from and_tf.evaluation.label_free import effective_rank, uniformity
from and_tf.report import figures, parts
from and_tf.report.attention_table import attention_table
from and_tf.report.board import write_board
from and_tf.report.explorer import choose_pool, entropy_of, explorer_data
from and_tf.report.galleries import galleries
from and_tf.report.map_points import map_points
from and_tf.report.page import render
from and_tf.report.pictures import confusion_picture, pictures
from and_tf.report.record import Record, read_record
from and_tf.report.sample import (
    Sample,
    embed_sample,
    named_training_labels,
    names_of_classes,
    predictions,
    voters,
)
from and_tf.report.tensorboard import check_folder
from and_tf.report.thumbnails import SMALL
from and_tf.report.verdict import Spread, judge, nearest_words
from and_tf.runs.atomic_files import replace_file
from and_tf.runs.restore import restore_encoder
from and_tf.runs.workdir import Workdir, open_run


def write_report(options: types.SimpleNamespace) -> Path:
    """Writes the page of a run, finished or not, and its data for TensorBoard.

    Args:
        options: values of `flags.report_flags()`.

    Returns:
        The page.

    Raises:
        FileNotFoundError: if there is no run, no checkpoint or no folder for the page.
        ValueError: if a file of the run is damaged, or its images have changed.
    """
    run = open_run(options.workdir)
    encoder, step, _ = restore_encoder(run)
    record = read_record(run, step)
    path = Path(options.output).expanduser() if options.output else run.path / "report.html"
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"--output={path} must be a file in a folder that exists.")
    check_folder(run.tensorboard / "report")
    train, held_out = _open_sources(run, record, options.data_dir)
    size = record.options.image_size
    _say(f"Embedding training images of {train.name}")
    reference = embed_sample(encoder, train, size, options.images)
    queries = None
    if held_out is not None:
        _say(f"Embedding held-out images of {held_out.name}")
        queries = embed_sample(encoder, held_out, size, options.queries)
    sources = [s for s in (train, held_out) if s is not None]
    classes = names_of_classes(*sources)
    replace_file(path, render(_parts(options, run, record, encoder, reference, queries, classes)))
    print(f"Report: {path} ({path.stat().st_size / 1e6:.1f} MB)", flush=True)
    _say("Writing neighbours by round and the projector for TensorBoard")
    board = write_board(run, record, reference, queries, classes)
    print(f"TensorBoard: {board / 'report'}")
    print(f"To see it: tensorboard --logdir={shlex.quote(str(board))}")
    return path


def _open_sources(run: Workdir, record: Record, data_dir: str) -> tuple[Source, Source | None]:
    """The images that the run was trained on, and those it was evaluated on."""
    options = record.options
    train, held_out = opening.open_train_and_held_out(
        options.data,
        options.train_split,
        options.eval_split,
        options.eval_data,
        data_dir or options.data_dir,
        options.labels,
        options.skip_broken,
    )
    if record.facts["fingerprint"] != train.fingerprint:
        raise ValueError(
            f"{train.name} has changed since the run in {run.path} began: it held "
            f"{record.facts['images']} images and holds {len(train)}, or names or sizes differ. "
            "Restore the images that the run was trained on."
        )
    return train, held_out


def _parts(
    options: types.SimpleNamespace,
    run: Workdir,
    record: Record,
    encoder: keras.Model,
    reference: Sample,
    queries: Sample | None,
    classes: list[str],
) -> dict:
    """The variables of page.html."""
    train, held_out = reference.whole, None if queries is None else queries.whole
    labels = _known_labels(held_out)
    predicted = None
    if reference.is_labelled and queries is not None and queries.is_labelled:
        predicted = predictions(reference, queries, len(classes))
    spread = Spread(
        images=len(reference),
        dim=record.options.embedding_dim,
        uniformity=uniformity(reference.embeddings),
        effective_rank=effective_rank(reference.embeddings),
    )
    size, parameters = record.options.image_size, encoder.count_params()
    entropy = entropy_of(record, reference)
    tables = _tables(record, train, held_out, labels)
    words = {
        "title": record.options.name,
        "subtitle": parts.subtitle(record, parameters),
        "is_photos": size > SMALL,
        "embedding_dim": record.options.embedding_dim,
        "nothing": figures.NOTHING,
        "verdict": judge(
            record,
            labels,
            spread,
            tables["published_words"],
            named_training_labels(train.labels)[0],
        ),
        "nearest": nearest_words(record.facts["images"]),
        "discovered_from": record.options.discovery_features,
        "no_accuracy": parts.why_no_accuracy(record, train, held_out),
        "cost": parts.cost(record, parameters),
        "command": parts.command(options),
        "versions": parts.versions(record),
    }
    words["changed"], words["same"] = parts.flag_values(record)
    return {
        **words,
        **tables,
        **_looks(run, record, reference, queries, predicted, entropy, classes),
    }


def _known_labels(source: Source | None) -> np.ndarray:
    if source is None or source.labels is None:
        return np.array([], int)
    return source.labels[source.labels >= 0]


def _tables(record: Record, train: Source, held_out: Source | None, labels: np.ndarray) -> dict:
    count = 0 if held_out is None else len(held_out)
    comparison = figures.compare(parts.setting_of(record, count), record.options.method)
    own = {f"{s.name}, {len(s)} images" for s in (train, held_out) if s is not None}
    measured = figures.measured(record, comparison, len(labels), voters(train.labels), own)
    return {
        "rounds": figures.by_round(record, figures.LABELLED),
        "rounds_words": parts.rounds_words(record, labels, train.labels),
        "label_free": figures.by_round(record, figures.LABEL_FREE),
        "measured": measured,
        "notes": sorted({str(note) for p in record.protocols for note in p.get("notes", [])}),
        "published_words": parts.published_words(comparison),
        "comparison": comparison,
        "setting_words": parts.setting_words(comparison),
        "published": figures.published(comparison, measured),
    }


def _looks(
    run: Workdir,
    record: Record,
    reference: Sample,
    queries: Sample | None,
    predicted: np.ndarray | None,
    entropy,
    classes: list[str],
) -> dict:
    """Everything that shows images or is drawn."""
    _say("Drawing plots and attention")
    size = record.options.image_size
    plots = pictures(record, reference.whole.labels)
    attention = attention_table(run, reference, queries, predicted, entropy, classes)
    _say("Drawing neighbours and the embedding map")
    pool = choose_pool(reference.labels, entropy.values)
    return {
        "plots": plots,
        "attention": attention,
        "galleries": galleries(reference, queries, predicted, entropy, classes, size),
        "neighbours_words": parts.neighbours_words(reference, queries, predicted is not None),
        "explorer": explorer_data(record, reference, entropy, pool, classes),
        "explorer_words": parts.explorer_words(pool, reference, entropy),
        "map": map_points(reference, entropy, pool, classes, record.options.seed),
        "confusion": None
        if predicted is None
        else confusion_picture(queries.labels, predicted, classes),
        "nothing_wrong": parts.nothing_wrong(queries, predicted),
        "voters": voters(reference.labels),
        "queries_words": "" if queries is None else queries.words("held-out"),
        "reference_words": reference.words("training"),
    }


def _say(words: str) -> None:
    if sys.stdout.isatty():
        print(f"{words} ...", flush=True)
