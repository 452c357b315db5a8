"""The attention of the network on chosen images at each round's end, ready for the page."""

import keras
import numpy as np
from PIL import Image

from and_tf.evaluation import extract
from and_tf.evaluation.knn import nearest_rows
from and_tf.report.attention import (
    attention_by_round,
    choose_by_entropy,
    choose_examples,
    encoders_by_round,
    overlay,
)
from and_tf.report.drawing import evenly_chosen
from and_tf.report.explorer import Entropy, image_name
from and_tf.report.sample import Sample, nearest_others, predictions
from and_tf.report.thumbnails import PICTURE_SIDE, picture
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import read_options

MOST_ROUNDS = 6  # of more, evenly chosen ones
COUNT = 4  # images of each kind
KINDS = {
    "successes": "Wrong after round {first}, right at the end",
    "throughout": "Right after round {first} and at the end",
    "failures": "Wrong at the end",
    "lowest entropy": "Lowest entropy",
    "highest entropy": "Highest entropy",
}


def attention_table(
    run: Workdir,
    reference: Sample,
    queries: Sample | None,
    predicted: np.ndarray | None,
    entropy: Entropy,
    classes: list[str],
) -> dict | None:
    """Where the network looks when it finds an image similar to its nearest neighbour.

    Images are held-out successes and failures of kNN; where no image came to be named rightly,
    those that were so throughout; without labels the training images of lowest and of highest
    entropy. Neighbours are those that the last checkpoint finds.

    Args:
        run: with its kept round ends.
        reference, queries: samples of the training and the held-out images; queries may be None.
        predicted: (Q,) int, the classes that kNN gave the queries; None without labels.
        entropy: of the training images.
        classes: names of the labels.

    Returns:
        dict: is_labelled; rounds, a list of numbers; groups, each title and rows; a row has name,
        label, image, near (with near_label) and overlays, one a round, all of them data URIs. None
        where no round has been kept.
    """
    if not any(run.rounds.glob("round_*.npz")):
        return None
    size, first = read_options(run).image_size, None
    if predicted is None:
        sample, kinds = reference, choose_by_entropy(entropy.values, COUNT)
    else:
        sample = queries
        first, kinds = _successes_and_failures(
            run, reference, queries, predicted, len(classes), size
        )
    rows = np.concatenate(list(kinds.values()))
    if not len(rows):
        return None
    rounds, drawn = _drawn(run, reference, sample, rows, size, classes)
    drawn = iter(drawn)
    groups = [
        {"title": KINDS[kind].format(first=first), "rows": [next(drawn) for _ in rows]}
        for kind, rows in kinds.items()
        if len(rows)
    ]
    return {"rounds": rounds, "groups": groups, "is_labelled": predicted is not None}


def _successes_and_failures(run, reference, queries, predicted, num_classes, size):
    """The first kept round, and rows of the queries by kind: changed since that round, or not."""
    number, encoder = next(encoders_by_round(run))
    first = predictions(
        _embedded(encoder, reference, size), _embedded(encoder, queries, size), num_classes
    )
    known = np.flatnonzero(queries.labels >= 0)
    labels = queries.labels[known]
    was_right, is_right = first[known] == labels, predicted[known] == labels
    chosen = choose_examples(was_right, is_right, COUNT)
    if not len(chosen["successes"]):
        chosen = {"throughout": np.flatnonzero(was_right & is_right)[:COUNT]} | chosen
    return number, {kind: known[rows] for kind, rows in chosen.items()}


def _embedded(encoder: keras.Model, sample: Sample, size: int) -> Sample:
    """The same images with the embeddings of another encoder."""
    part = sample.whole.take(sample.indices)
    return Sample(sample.whole, sample.indices, extract(encoder, part, size))


def _drawn(run, reference, sample, rows, size, classes):
    """The rounds shown, and one dict an image."""
    if sample is reference:
        near = nearest_others(reference, rows, 1)[0][:, 0]
    else:
        near = nearest_rows(reference.embeddings, sample.embeddings[rows], 1)[0][:, 0]
    images, counterparts = sample.load(rows, size), reference.load(near, size)
    maps = attention_by_round(run, images, counterparts)
    rounds = evenly_chosen(sorted(maps), MOST_ROUNDS)
    large = _enlarged(images)
    overlays = [overlay(large, maps[number]) for number in rounds]
    return rounds, [
        {
            "name": image_name(sample, row),
            "label": _class_name(sample, row, classes),
            "image": picture(images[i]),
            "near": picture(counterparts[i]),
            "near_label": _class_name(reference, near[i], classes),
            "overlays": [picture(of_round[i]) for of_round in overlays],
        }
        for i, row in enumerate(rows)
    ]


def _class_name(sample, row, classes):
    label = int(sample.labels[row])
    return classes[label] if label >= 0 else ""


def _enlarged(images):
    """(n, PICTURE_SIDE, PICTURE_SIDE, 3) uint8, at least: maps need room to be seen."""
    side = max(PICTURE_SIDE, images.shape[1])
    large = [Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
             for image in images]  # fmt: skip
    return np.stack([np.asarray(image) for image in large])
