"""The linear protocol: multinomial logistic regression on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from and_tf.evaluation.feature_store import Features
from and_tf.evaluation.inputs import count_classes, is_labelled
from and_tf.evaluation.logistic import (
    Standardisation,
    TrainingSet,
    logits,
    minimised,
    moments,
    progress_bar,
    top1,
)

# Values of C as scikit-learn defines it: C times the summed loss plus half the squared kernel.
# Features by the thousand want a small one (a strong penalty), tens of features a large one.
REGULARISATIONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)

# Points below the best at which the search ends: the weakest penalties take the longest to fit.
CLEARLY_WORSE = 1.0

# The search compares accuracies, which settle long before the weights.
SEARCH_TOLERANCE = 10.0  # times that of the last fit


@dataclass(frozen=True)
class LinearClassifier:
    """A fitted linear classifier; see `fit_linear`.

    Attributes:
        kernel: (F, C) float32 on standardised features; zeros for classes without a training image.
        bias: (C,) float32, -inf for classes without a training image.
        mean, scale: (F,) float32, the standardisation; an infinite scale for constant features.
        regularisation: the C that was chosen.
        held_out_top1: percent on the held-out training features for each C that was tried; empty
            where there was no choice. The search ends at a C that is clearly worse.
        converged: whether the last fit came to its tolerance within `max_iterations`.
        iterations: L-BFGS iterations of the last fit.
    """

    kernel: np.ndarray
    bias: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    regularisation: float
    held_out_top1: dict[float, float]
    converged: bool
    iterations: int

    def predict_scores(self, features: np.ndarray | Features) -> np.ndarray:
        """Logits, -inf for classes without a training image.

        Args:
            features: (Q, F) float.

        Returns:
            (Q, C) float32.

        Raises:
            ValueError: another number of features than in training.
        """
        shape = np.shape(features)
        if len(shape) != 2 or shape[1] != len(self.mean):
            raise ValueError(
                f"features must be (Q, {len(self.mean)}) as in training. "
                f"Received shape {shape}: take them from the same layer and image size."
            )
        weights = np.vstack([self.kernel, self.bias]).astype(np.float64)
        return logits(features, weights, Standardisation(self.mean, self.scale))


def fit_linear(
    features: np.ndarray | Features,
    labels: np.ndarray,
    held_out: float = 0.1,
    seed: int = 0,
    num_classes: int | None = None,
    regularisations: Sequence[float] = REGULARISATIONS,
    max_iterations: int = 1000,
    tolerance: float = 1e-4,
    memory_mb: int = 4096,
    progress: bool | None = None,
) -> LinearClassifier:
    """Fits multinomial logistic regression by L-BFGS on standardised features.

    The penalty is the one that does best on a stratified part of these training features, held out
    for that; then all of them are fitted with it. No test image takes part.

    Args:
        features: (N, F) float, of which no copy is made.
        labels: (N,) int; images with label -1 are left out.
        held_out: share of each class held out to choose the penalty (at least one image of each
            class that has two).
        seed: of the split.
        num_classes: columns of the scores; None for the highest label + 1.
        regularisations: values of C to choose from; a single one is simply used.
        max_iterations: bound of L-BFGS for each fit; every fit but the first has a warm start.
        tolerance: largest gradient (of the mean loss) at which the last fit ends.
        memory_mb: features in a file that take no more MB (2**20 bytes) are loaded for the fit;
            larger ones are read anew in every step.
        progress: show the steps if they take more than seconds; None for only on a terminal.

    Returns:
        A `LinearClassifier`.

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, a label beyond num_classes,
            features that are not finite, no C, no class with two images to hold one out.
    """
    is_known = is_labelled(features, labels, "features")
    labels = np.asarray(labels)
    num_classes = count_classes(labels, num_classes)
    classes, targets = _targets(labels, is_known)
    regularisations = sorted(float(value) for value in regularisations)
    if not regularisations or regularisations[0] <= 0:
        raise ValueError(f"regularisations must be positive. Received {regularisations}.")
    is_held_out = np.zeros(len(labels), bool)
    if len(regularisations) > 1:  # else there is nothing to choose
        is_held_out[is_known] = _split(targets[is_known], held_out, seed)
    if isinstance(features, Features) and features.num_bytes <= memory_mb * 2**20:
        features = features.load()
    training = TrainingSet(features, targets, len(classes), moments(features, is_known))

    with progress_bar("linear classifier", "pass", progress) as bar:
        starts, held_out_top1 = {}, {}
        if is_held_out.any():
            limits = max_iterations, SEARCH_TOLERANCE * tolerance
            is_kept = is_known & ~is_held_out
            starts, held_out_top1 = _search(
                training, is_kept, is_held_out, regularisations, limits, bar
            )
        # Of equally good ones the strongest penalty, which comes first.
        chosen = max(held_out_top1, key=held_out_top1.get, default=regularisations[0])
        start = starts.get(chosen, training.zeros())
        fit = minimised(training, is_known, start, chosen, max_iterations, tolerance, bar)

    kernel, bias = _all_columns(fit.weights, classes, num_classes)
    return LinearClassifier(
        kernel=kernel,
        bias=bias,
        mean=training.standardisation.mean.astype(np.float32),
        scale=training.standardisation.scale.astype(np.float32),
        regularisation=chosen,
        held_out_top1=held_out_top1,
        converged=fit.converged,
        iterations=fit.iterations,
    )


def _targets(labels, is_known):
    """The classes that have an image, and the place of each label among them (N,) int32."""
    classes, places = np.unique(labels[is_known], return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"A classifier needs images of at least two classes. Received {len(places)} labels, "
            f"all of class {classes[0]}: is this the whole training split?"
        )
    targets = np.zeros(len(labels), np.int32)
    targets[is_known] = places
    return classes, targets


def _split(targets, held_out, seed):
    """(N,) bool, a share of each class; a class of one image stays in training."""
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must lie between 0 and 1. Received held_out={held_out}.")
    is_held_out = np.zeros(len(targets), bool)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(targets))
    by_class = order[np.argsort(targets[order], kind="stable")]
    for members in np.split(by_class, np.cumsum(np.bincount(targets))[:-1]):
        count = max(1, round(held_out * len(members)))
        is_held_out[members[: min(count, len(members) - 1)]] = True
    if not is_held_out.any():
        raise ValueError(
            "No class has two labelled images, so that none can be held out to choose the "
            "penalty: pass a single value, such as regularisations=(0.01,)."
        )
    return is_held_out


def _search(training, is_kept, is_held_out, regularisations, limits, bar):
    """For each C that was tried, weights from the rows kept, and percent on those held out."""
    weights, accuracies = {}, {}
    start = training.zeros()
    for value in regularisations:  # from strong to weak
        weights[value] = start = minimised(training, is_kept, start, value, *limits, bar).weights
        accuracies[value] = top1(training, is_held_out, start)
        if accuracies[value] < max(accuracies.values()) - CLEARLY_WORSE:
            break
    return weights, accuracies


def _all_columns(weights, classes, num_classes):
    """Kernel and bias, float32, with columns for classes without an image, which never win."""
    kernel = np.zeros((len(weights) - 1, num_classes), np.float32)
    bias = np.full(num_classes, -np.inf, np.float32)
    kernel[:, classes], bias[classes] = weights[:-1], weights[-1]
    return kernel, bias
