"""The linear protocol: multinomial logistic regression on frozen features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.data.subsets import shuffled_by_class
from and_tf.errors import Argument, UserError
from and_tf.evaluation.inputs import count_classes, is_labelled
from and_tf.evaluation.logistic import (
    Fit,
    Standardisation,
    fit_in_memory,
    logits,
    moments,
    standardised,
    top1,
)
from and_tf.evaluation.logistic_streaming import TrainingSet, fit_streaming

# Values of C as scikit-learn defines it: C times the summed loss plus half the squared kernel.
# Thousands of features need a small C (a strong penalty), tens of features a large one.
REGULARISATIONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)

# The search ends this many points below the best: the weakest penalties take the longest to fit.
CLEARLY_WORSE = 1.0

# The search compares accuracies, which settle long before the weights.
SEARCH_TOLERANCE = 10.0  # multiple of the last fit's tolerance


@dataclass(frozen=True)
class LinearClassifier:
    """A fitted linear classifier; see `fit_linear`.

    Attributes:
        kernel: (F, C) float32 on standardised features; zeros for classes without training images.
        bias: (C,) float32, -inf for classes without training images.
        mean, scale: (F,) float32, the standardisation; an infinite scale for constant features.
        regularisation: the C that was chosen.
        held_out_top1: percent on the held-out training features for each C that was tried; empty
            if there was only one. The search ends at a C that is clearly worse.
        converged: whether the last fit reached its tolerance within `max_iterations`.
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

    def predict_scores(self, features: np.ndarray) -> np.ndarray:
        """Logits, -inf for classes without training images.

        Args:
            features: (Q, F) float.

        Returns:
            (Q, C) float32.

        Raises:
            UserError: if the number of features differs from that in training.
        """
        shape = np.shape(features)
        if len(shape) != 2 or shape[1] != len(self.mean):
            raise UserError(
                f"features must be (Q, {len(self.mean)}) as in training. "
                f"Received shape {shape}: take them from the same layer and image size."
            )
        weights = np.vstack([self.kernel, self.bias]).astype(np.float64)
        return logits(features, weights, Standardisation(self.mean, self.scale))


def fit_linear(
    features: np.ndarray,
    labels: np.ndarray,
    held_out: float = 0.1,
    seed: int = 0,
    num_classes: int | None = None,
    regularisations: Sequence[float] = REGULARISATIONS,
    max_iterations: int = 1000,
    tolerance: float = 1e-4,
    memory_mb: int = 4096,
    progress: bool = True,
) -> LinearClassifier:
    """Fits multinomial logistic regression on standardised features.

    The penalty is chosen on a stratified part of the training features that is held out for this;
    then the classifier is fitted to all of them. Test images are not involved. Features that fit in
    memory are fitted by scikit-learn; larger ones are not copied, and each step of L-BFGS reads
    them again.

    Args:
        features: (N, F) float.
        labels: (N,) int; images with label -1 are left out.
        held_out: fraction of each class held out to choose the penalty (at least one image of each
            class that has two).
        seed: of the split.
        num_classes: columns of the scores; None for the highest label + 1.
        regularisations: values of C to choose from; a single one is used without a search.
        max_iterations: limit of L-BFGS for each fit; every fit but the first has a warm start.
        tolerance: largest gradient (of the mean loss) at which the last fit ends.
        memory_mb: MB (2**20 bytes) for the two float32 copies of the features that a fit in memory
            takes: one standardised, one of the part that is fitted.
        progress: show a bar if the fits take more than a few seconds.

    Returns:
        A `LinearClassifier`.

    Raises:
        UserError: if shapes do not fit, there are fewer than two classes, a label is not below
            num_classes, features are not finite, no valid C is given, or no class has two images to
            hold one out.
    """
    is_known = is_labelled(features, labels, "features")
    labels = np.asarray(labels)
    num_classes = count_classes(labels, num_classes)
    classes, targets = _targets(labels, is_known)
    candidates = sorted(float(value) for value in regularisations)
    if not candidates or candidates[0] <= 0:
        raise UserError(Argument("regularisations", tuple(candidates)), ": give positive values.")
    is_held_out = np.zeros(len(labels), bool)
    if len(candidates) > 1:  # else there is nothing to choose
        is_held_out[is_known] = _split(targets[is_known], held_out, seed)
    standardisation = moments(features, is_known)
    fit_rows = _fitter(features, targets, standardisation, memory_mb, max_iterations)

    start = np.zeros((np.shape(features)[1] + 1, len(classes)))
    starts, held_out_top1 = {}, {}
    with progress_bar(len(candidates) + 1, "linear classifier", "fit", progress) as bar:
        for value in candidates if is_held_out.any() else ():  # from strong to weak
            fit = fit_rows(is_known & ~is_held_out, start, value, SEARCH_TOLERANCE * tolerance)
            starts[value] = start = fit.weights
            held_out_top1[value] = top1(features, targets, is_held_out, start, standardisation)
            bar.update()
            if held_out_top1[value] < max(held_out_top1.values()) - CLEARLY_WORSE:
                break
        # Ties go to the strongest penalty, which comes first.
        chosen = max(held_out_top1, key=lambda value: held_out_top1[value], default=candidates[0])
        fit = fit_rows(is_known, starts.get(chosen, start), chosen, tolerance)

    kernel, bias = _all_columns(fit.weights, classes, num_classes)
    return LinearClassifier(
        kernel=kernel,
        bias=bias,
        mean=standardisation.mean.astype(np.float32),
        scale=standardisation.scale.astype(np.float32),
        regularisation=chosen,
        held_out_top1=held_out_top1,
        converged=fit.converged,
        iterations=fit.iterations,
    )


def _fitter(
    features: np.ndarray,
    targets: np.ndarray,
    standardisation: Standardisation,
    memory_mb: int,
    max_iterations: int,
) -> Callable[[np.ndarray, np.ndarray, float, float], Fit]:
    """A function that fits some rows, given as (N,) bool, start, C and tolerance."""
    num_bytes = 4 * np.shape(features)[0] * np.shape(features)[1]
    if 2 * num_bytes > memory_mb * 2**20:
        training = TrainingSet(features, targets, standardisation)
        return lambda is_used, start, value, tolerance: fit_streaming(
            training, is_used, start, value, max_iterations, tolerance
        )
    rows = standardised(features, standardisation)
    return lambda is_used, start, value, tolerance: fit_in_memory(
        rows if is_used.all() else rows[is_used],
        targets[is_used], start, value, max_iterations, tolerance,
    )  # fmt: skip


def _targets(labels: np.ndarray, is_known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes that have images, and (N,) int32, the place of each label among them."""
    classes, places = np.unique(labels[is_known], return_inverse=True)
    if len(classes) < 2:
        raise UserError(
            f"A classifier needs images of at least two classes. Received {len(places)} labels, "
            f"all of class {classes[0]}: is this the whole training split?"
        )
    targets = np.zeros(len(labels), np.int32)
    targets[is_known] = places
    return classes, targets


def _split(targets: np.ndarray, held_out: float, seed: int) -> np.ndarray:
    """(N,) bool, the held-out fraction of each class; the only image of a class is not held out."""
    if not 0 < held_out < 1:
        raise UserError(Argument("held_out", held_out), " must be between 0 and 1.")
    is_held_out = np.zeros(len(targets), bool)
    for members in shuffled_by_class(targets, int(targets.max()) + 1, seed):
        count = max(1, round(held_out * len(members)))
        is_held_out[members[: min(count, len(members) - 1)]] = True
    if not is_held_out.any():
        raise UserError(
            "No class has two labelled images, so none can be held out to choose the "
            "penalty: pass a single value, such as regularisations=(0.01,)."
        )
    return is_held_out


def _all_columns(
    weights: np.ndarray, classes: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias, float32, with columns for classes without images, which never win."""
    kernel = np.zeros((len(weights) - 1, num_classes), np.float32)
    bias = np.full(num_classes, -np.inf, np.float32)
    kernel[:, classes], bias[classes] = weights[:-1], weights[-1]
    return kernel, bias
