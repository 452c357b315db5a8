"""The linear protocol: multinomial logistic regression on frozen features."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from and_tf.evaluation.inputs import check_finite, count_classes, labelled

# scikit-learn's C, the inverse of the penalty: from strong to weak, so that each fit starts near
# its solution. Features by the thousand want strong ones, tens of features weak ones.
REGULARISATIONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)

# Points below the best at which the search ends: the weakest penalties take the longest to fit.
CLEARLY_WORSE = 1.0

BLOCK_ROWS = 8192


@dataclass(frozen=True)
class LinearClassifier:
    """A fitted linear classifier; see `fit_linear`.

    Attributes:
        kernel: (F, C) float32 on standardised features; zeros for classes without a training image.
        bias: (C,) float32, -inf for classes without a training image.
        mean, scale: (F,) float32, the standardisation.
        regularisation: the C of scikit-learn that was chosen.
        held_out_top1: percent on the held-out training features for each C that was tried; empty
            where there was no choice. The search ends at a C that is clearly worse.
        converged: whether the last fit ended before `max_iterations`.
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

    def predict_scores(self, features) -> np.ndarray:
        """Logits, -inf for classes without a training image.

        Args:
            features: (Q, F) float.

        Returns:
            (Q, C) float32.

        Raises:
            ValueError: another number of features than in training.
        """
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ValueError(
                f"features must be (Q, {len(self.mean)}) as in training. "
                f"Received shape {features.shape}: take them from the same layer and image size."
            )
        scores = np.empty((len(features), len(self.bias)), np.float32)
        for start in range(0, len(features), BLOCK_ROWS):  # no second (Q, F) array
            part = slice(start, start + BLOCK_ROWS)
            scores[part] = _standardised(features[part], self.mean, self.scale) @ self.kernel
        return scores + self.bias


def fit_linear(
    features,
    labels,
    held_out=0.1,
    seed=0,
    num_classes=None,
    regularisations=REGULARISATIONS,
    max_iterations=300,
    tolerance=1e-4,
) -> LinearClassifier:
    """Fits multinomial logistic regression by L-BFGS on standardised features.

    The penalty is the one that does best on a stratified part of these training features, held out
    for that; then all of them are fitted with it. No test image takes part.

    Args:
        features: (N, F) float, kept in float32.
        labels: (N,) int; images with label -1 are left out.
        held_out: share of each class held out to choose the penalty (at least one image of each
            class that has two).
        seed: of the split.
        num_classes: columns of the scores; None for the highest label + 1.
        regularisations: values of scikit-learn's C to choose from; a single one is simply used.
        max_iterations: bound of L-BFGS for each fit; every fit but the first has a warm start.
        tolerance: largest gradient (of the mean loss) at which a fit ends.

    Returns:
        A `LinearClassifier`.

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, a label beyond num_classes,
            features that are not finite, no C, no class with two images to hold one out.
    """
    features, labels = labelled(np.asarray(features, np.float32), labels, "features")
    check_finite(features, "features")
    num_classes = count_classes(labels, num_classes)
    classes, targets = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"A classifier needs images of at least two classes. Received {len(labels)} labels, "
            f"all of class {classes[0]}: is this the whole training split?"
        )
    regularisations = sorted(float(value) for value in regularisations)
    if not regularisations or regularisations[0] <= 0:
        raise ValueError(f"regularisations must be positive. Received {regularisations}.")
    mean, scale = _moments(features)
    features = _standardised(features, mean, scale)  # (N, F)
    regression = LogisticRegression(warm_start=True, max_iter=max_iterations, tol=tolerance)
    chosen, held_out_top1 = regularisations[0], {}
    if len(regularisations) > 1:
        held_out_top1 = _held_out_top1(
            regression, features, targets, regularisations, _split(targets, held_out, seed)
        )
        chosen = max(held_out_top1, key=held_out_top1.get)  # ties: strongest penalty
    _fit(regression, features, targets, chosen)
    kernel, bias = _softmax_weights(regression)
    all_kernel = np.zeros((features.shape[1], num_classes), np.float32)
    all_bias = np.full(num_classes, -np.inf, np.float32)
    all_kernel[:, classes], all_bias[classes] = kernel, bias
    iterations = int(regression.n_iter_[0])
    return LinearClassifier(
        kernel=all_kernel,
        bias=all_bias,
        mean=mean,
        scale=scale,
        regularisation=chosen,
        held_out_top1=held_out_top1,
        converged=iterations < max_iterations,
        iterations=iterations,
    )


def _held_out_top1(regression, features, targets, regularisations, is_held_out):
    """Percent on the held-out part, for each C in turn from strong to weak penalty."""
    kept, kept_targets = features[~is_held_out], targets[~is_held_out]
    held, held_targets = features[is_held_out], targets[is_held_out]
    top1 = {}
    for value in regularisations:
        _fit(regression, kept, kept_targets, value)
        top1[value] = 100.0 * float(regression.score(held, held_targets))
        if top1[value] < max(top1.values()) - CLEARLY_WORSE:
            break
    return top1


def _fit(regression, features, targets, regularisation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by `converged`
        regression.set_params(C=regularisation).fit(features, targets)


def _softmax_weights(regression):
    """Kernel (F, C) and bias (C,); scikit-learn keeps a single logit for two classes."""
    kernel, bias = regression.coef_.T, regression.intercept_
    if len(regression.classes_) == 2:
        kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])
    return kernel, bias


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


def _moments(features):
    """Mean and standard deviation, (F,) float32 each; 1 for constant features."""
    mean = features.mean(axis=0, dtype=np.float64)
    square = np.zeros_like(mean)
    for start in range(0, len(features), BLOCK_ROWS):
        square += np.square(features[start : start + BLOCK_ROWS] - mean).sum(axis=0)
    deviation = np.sqrt(square / len(features))
    # What rounding leaves of a constant must not be blown up to unit variance.
    is_constant = deviation <= 1e-6 * np.abs(mean)
    return mean.astype(np.float32), np.where(is_constant, 1, deviation).astype(np.float32)


def _standardised(features, mean, scale):
    return ((features - mean) / scale).astype(np.float32, copy=False)
