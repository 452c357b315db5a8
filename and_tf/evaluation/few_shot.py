"""Few labels: logistic regression on the frozen features of a few labelled images per class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.data.subsets import shuffled_by_class
from and_tf.errors import Argument, UserError
from and_tf.evaluation.inputs import count_classes, is_labelled
from and_tf.evaluation.logistic import (
    Standardisation,
    fit_in_memory,
    moments,
    standardised,
    top1,
)
from and_tf.search.rows import check_widths

# C as in scikit-learn, for features whose rows have length 1 on average. On training images that no
# random subset had used (CIFAR-10 and scikit-learn's digits, stem to fc, 1 to 50 shots) 10 came
# within a point of the best C of each layer; 1, from Tian et al. (ECCV 2020), lost up to five.
REGULARISATION = 10.0

MAX_ITERATIONS, TOLERANCE = 1000, 1e-4


class FewShotAccuracy(NamedTuple):
    """Top-1 in percent: mean and standard deviation over the random subsets (0 if only one)."""

    mean: float
    std: float


def few_shot_accuracy(
    features: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    query_labels: np.ndarray,
    shots: Sequence[int] = (1, 5, 10, 50),
    num_seeds: int = 5,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    progress: bool = True,
) -> dict[int, FewShotAccuracy]:
    """Accuracy of logistic regression on a few labelled images per class, drawn at random.

    The features are standardised by all N images, which needs no labels. The penalty is the same
    for all numbers of shots and is not tuned on any image.

    Args:
        features: (N, F) float, of a training set.
        labels: (N,) int, -1 where unknown.
        queries: (Q, F) float, from the same layer.
        query_labels: (Q,) int; queries with label -1 are left out.
        shots: numbers of labelled images per class; smaller subsets are contained in larger ones.
        num_seeds: number of random subsets.
        seed: of the first random subset.
        class_names: for error messages; None for the labels themselves.
        progress: show a bar if the fits take more than a few seconds.

    Returns:
        {shots: mean and standard deviation of top-1 over the subsets}.

    Raises:
        UserError: if a class has fewer labelled images than shots, there are no shots or seeds,
            shapes do not fit, or features are not finite.
    """
    is_known = is_labelled(features, labels, "features")
    is_asked = is_labelled(queries, query_labels, "queries")
    check_widths(features, queries)
    labels, query_labels = np.asarray(labels), np.asarray(query_labels)
    num_classes = count_classes(labels)
    _check_numbers(shots, num_seeds)
    _check_counts(np.bincount(labels[is_known]), max(shots), class_names)
    standardisation = moments(features)
    found: dict[int, list[float]] = {number: [] for number in shots}
    with progress_bar(len(shots) * num_seeds, "few labels", "fit", progress) as bar:
        for subset_seed in range(seed, seed + num_seeds):
            by_class = shuffled_by_class(labels, num_classes, subset_seed)
            for number in shots:
                indices = np.concatenate([members[:number] for members in by_class])
                weights = _fit(features[indices], labels[indices], num_classes, standardisation)
                found[number].append(
                    top1(queries, query_labels, is_asked, weights, standardisation)
                )
                bar.update()
    return {number: _summary(values) for number, values in found.items()}


def _check_numbers(shots: Sequence[int], num_seeds: int) -> None:
    if not shots or min(shots) < 1:
        raise UserError(Argument("shots", tuple(shots)), ": give numbers of at least 1.")
    if num_seeds < 1:
        raise UserError(Argument("num_seeds", num_seeds), " must be at least 1.")


def _check_counts(counts: np.ndarray, most_shots: int, class_names: Sequence[str] | None) -> None:
    """Refuses fewer than two classes, and a class with too few images."""
    smallest = int(counts.argmin())
    if len(counts) < 2:
        raise UserError("A classifier needs images of at least two classes. Received class 0.")
    if counts[smallest] < most_shots:
        name = smallest if class_names is None else repr(class_names[smallest])
        raise UserError(
            f"{most_shots} shots need as many labelled images of each class. Class {name} has "
            f"{counts[smallest]}: lower the shots or label more images."
        )


def _fit(
    rows: np.ndarray, targets: np.ndarray, num_classes: int, standardisation: Standardisation
) -> np.ndarray:
    """Weights (F + 1, C) fitted to a few rows (n, F)."""
    # The mean square length of a row is the number of features that vary.
    regularisation = REGULARISATION / np.isfinite(standardisation.scale).sum()
    rows = standardised(rows, standardisation)
    start = np.zeros((rows.shape[1] + 1, num_classes))
    return fit_in_memory(rows, targets, start, regularisation, MAX_ITERATIONS, TOLERANCE).weights


def _summary(values: Sequence[float]) -> FewShotAccuracy:
    std = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return FewShotAccuracy(float(np.mean(values)), float(std))
