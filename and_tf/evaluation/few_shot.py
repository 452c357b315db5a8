"""Few labels: logistic regression on frozen features of a few labelled images a class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from and_tf.evaluation.feature_store import Features, chosen_rows
from and_tf.evaluation.inputs import count_classes, is_labelled
from and_tf.evaluation.logistic import (
    Standardisation,
    TrainingSet,
    minimised,
    moments,
    progress_bar,
    top1,
)
from and_tf.search.rows import check_widths

# C of scikit-learn for features whose rows have length 1 on average. On training images that no
# draw had taken (CIFAR-10 and scikit-learn's digits, stem to fc, 1 to 50 shots) 10 came within a
# point of the best C of each layer; 1, of Tian et al. (ECCV 2020), lost up to five points.
REGULARISATION = 10.0

MAX_ITERATIONS, TOLERANCE = 1000, 1e-4


class FewShotAccuracy(NamedTuple):
    """Top-1 in percent: mean over the draws, and standard deviation (0 of a single draw)."""

    mean: float
    deviation: float


def few_shot_accuracy(
    features: np.ndarray | Features,
    labels: np.ndarray,
    queries: np.ndarray | Features,
    query_labels: np.ndarray,
    shots: Sequence[int] = (1, 5, 10, 50),
    num_seeds: int = 5,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    progress: bool | None = None,
) -> dict[int, FewShotAccuracy]:
    """Accuracy of logistic regression on a few labelled images a class, drawn at random.

    Mean and scale of the features are those of all N images, which takes no label. The penalty is
    the same for all shots and is not fitted to any image.

    Args:
        features: (N, F) float, of a training set.
        labels: (N,) int, -1 where unknown.
        queries: (Q, F) float, from the same layer.
        query_labels: (Q,) int; queries with label -1 are left out.
        shots: labelled images a class; those of fewer shots are among those of more.
        num_seeds: number of draws.
        seed: of the first draw.
        class_names: for the errors; None for the labels as they are.
        progress: show the fits if they take more than seconds; None for only on a terminal.

    Returns:
        {shots: mean and deviation of top-1 over the draws}.

    Raises:
        ValueError: a class with fewer labelled images than shots, no shots or draws, shapes that
            do not fit, features that are not finite.
    """
    is_known = is_labelled(features, labels, "features")
    is_asked = is_labelled(queries, query_labels, "queries")
    check_widths(features, queries)
    labels, query_labels = np.asarray(labels), np.asarray(query_labels)
    num_classes = count_classes(labels)
    _check_numbers(shots, num_seeds)
    _check_counts(np.bincount(labels[is_known]), max(shots), class_names)
    standardisation = moments(features)
    asked = TrainingSet(queries, query_labels, num_classes, standardisation)
    found = {number: [] for number in shots}
    with progress_bar("few labels", "fit", progress, total=len(shots) * num_seeds) as bar:
        for draw in range(seed, seed + num_seeds):
            by_class = _shuffled(labels, num_classes, draw)
            for number in shots:
                indices = np.concatenate([members[:number] for members in by_class])
                targets = np.repeat(np.arange(num_classes, dtype=np.int32), number)
                rows = chosen_rows(features, indices)
                weights = _weights(rows, targets, num_classes, standardisation)
                found[number].append(top1(asked, is_asked, weights))
                bar.update()
    return {number: _summary(values) for number, values in found.items()}


def _check_numbers(shots, num_seeds):
    if not shots or min(shots) < 1 or num_seeds < 1:
        raise ValueError(
            "shots and num_seeds must be at least 1. "
            f"Received shots={tuple(shots)} and num_seeds={num_seeds}."
        )


def _check_counts(counts, most_shots, class_names):
    """Refuses a class with too few images, the smallest one."""
    smallest = int(counts.argmin())
    if len(counts) < 2:
        raise ValueError("A classifier needs images of at least two classes. Received class 0.")
    if counts[smallest] < most_shots:
        name = smallest if class_names is None else repr(class_names[smallest])
        raise ValueError(
            f"{most_shots} shots need as many labelled images of each class. Class {name} has "
            f"{counts[smallest]}: lower the shots or label more images."
        )


def _shuffled(labels, num_classes, seed):
    """Indices of the images of each class in random order, a list of num_classes arrays."""
    order = np.random.default_rng(seed).permutation(len(labels))
    return [order[labels[order] == number] for number in range(num_classes)]


def _weights(rows, targets, num_classes, standardisation):
    """Weights (F + 1, C) fitted to a few rows (n, F).

    The kernel of least loss is a sum of the rows, rows.T @ a. With rows @ rows.T = L @ L.T, the
    rows of L are features that give the same loss and the same penalty, n instead of thousands.
    """
    mean, scale = standardisation
    rows = ((rows - mean) / scale).astype(np.float32)  # (n, F)
    # The mean square length of a row is the number of features that vary.
    regularisation = REGULARISATION / np.isfinite(scale).sum()
    if rows.shape[0] >= rows.shape[1]:
        return _fitted(rows, targets, num_classes, regularisation)
    products = (rows @ rows.T).astype(np.float64)  # (n, n)
    # Equal images, and rounding, must not make it singular; the logits change by less than 1e-3.
    products[np.diag_indices(len(rows))] += 1e-5 * products.trace() / len(rows)
    root = np.linalg.cholesky(products)
    weights = _fitted(root.astype(np.float32), targets, num_classes, regularisation)
    shares = solve_triangular(root, weights[:-1], trans="T", lower=True)  # (n, C)
    return np.vstack([rows.T @ shares, weights[-1:]])


def _fitted(rows, targets, num_classes, regularisation):
    """Weights fitted to all of the rows as they are."""
    width = rows.shape[1]
    as_they_are = Standardisation(np.zeros(width), np.ones(width))
    drawn = TrainingSet(rows, targets, num_classes, as_they_are)
    is_used = np.ones(len(rows), bool)
    start = drawn.zeros()
    return minimised(drawn, is_used, start, regularisation, MAX_ITERATIONS, TOLERANCE).weights


def _summary(values):
    deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return FewShotAccuracy(float(np.mean(values)), float(deviation))
