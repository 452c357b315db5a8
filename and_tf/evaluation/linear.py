"""The linear protocol: multinomial logistic regression on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize

from and_tf.evaluation.inputs import check_finite, count_classes, labelled
from and_tf.precision import full_float32

# Values of C as scikit-learn defines it: C times the summed loss plus half the squared kernel.
# Features by the thousand want a small one (a strong penalty), tens of features a large one.
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

    def predict_scores(self, features: np.ndarray) -> np.ndarray:
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
    features: np.ndarray,
    labels: np.ndarray,
    held_out: float = 0.1,
    seed: int = 0,
    num_classes: int | None = None,
    regularisations: Sequence[float] = REGULARISATIONS,
    max_iterations: int = 300,
    tolerance: float = 1e-4,
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
        regularisations: values of C to choose from; a single one is simply used.
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
    is_held_out = np.zeros(len(targets), bool)
    if len(regularisations) > 1:
        is_held_out = _split(targets, held_out, seed)
    order = np.argsort(is_held_out, kind="stable")  # the held-out rows last
    mean, scale = _moments(features)
    features = tf.constant(_standardised(features[order], mean, scale))  # (N, F)
    targets = tf.constant(targets[order], tf.int32)  # (N,)

    weights = np.zeros((len(mean) + 1, len(classes)))  # the last row is the bias
    limits = {"maxiter": max_iterations, "gtol": tolerance}
    held_out_top1 = {}
    if is_held_out.any():
        num_kept = int(np.sum(~is_held_out))
        weights, held_out_top1 = _search(
            weights, features, targets, num_kept, regularisations, limits
        )
    # Of equally good ones the strongest penalty, which comes first.
    chosen = max(held_out_top1, key=held_out_top1.get, default=regularisations[0])
    weights, result = _minimised(weights, features, targets, chosen, limits)

    kernel = np.zeros((len(mean), num_classes), np.float32)
    bias = np.full(num_classes, -np.inf, np.float32)
    kernel[:, classes], bias[classes] = weights[:-1], weights[-1]
    return LinearClassifier(
        kernel=kernel,
        bias=bias,
        mean=mean,
        scale=scale,
        regularisation=chosen,
        held_out_top1=held_out_top1,
        converged=bool(result.success),
        iterations=int(result.nit),
    )


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


def _search(weights, features, targets, num_kept, regularisations, limits):
    """The last weights, and the percent on the rows from num_kept on for each C that was tried."""
    kept, kept_targets = features[:num_kept], targets[:num_kept]
    held, held_targets = features[num_kept:], targets[num_kept:]
    top1 = {}
    for value in regularisations:  # from strong to weak
        weights, _ = _minimised(weights, kept, kept_targets, value, limits)
        top1[value] = _top1(weights, held, held_targets)
        if top1[value] < max(top1.values()) - CLEARLY_WORSE:
            break
    return weights, top1


def _minimised(weights, features, targets, regularisation, limits):
    """Weights (F + 1, C) float64 of least loss, from given ones on, and the report of SciPy."""
    penalty = tf.constant(1 / (regularisation * len(features)), tf.float32)

    def objective(flat):
        start = tf.constant(flat.reshape(weights.shape), tf.float32)
        loss, gradient = _loss_and_gradient(start, features, targets, penalty)
        return float(loss), gradient.numpy().astype(np.float64).ravel()

    with full_float32():
        result = minimize(
            objective,
            weights.ravel(),
            method="L-BFGS-B",
            jac=True,
            options=limits | {"ftol": 1e-14, "maxls": 50},
        )
    return result.x.reshape(weights.shape), result


@tf.function(
    input_signature=[
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((), tf.float32),
    ]
)
def _loss_and_gradient(weights, features, targets, penalty):
    """Mean cross-entropy plus half the penalty on the kernel, and its gradient (F + 1, C)."""
    kernel, bias = weights[:-1], weights[-1]
    logits = tf.matmul(features, kernel) + bias  # (N, C)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    # In float64: the line search compares losses that differ in the seventh digit.
    loss = tf.reduce_mean(tf.cast(losses, tf.float64))
    loss += tf.cast(penalty, tf.float64) * tf.cast(tf.nn.l2_loss(kernel), tf.float64)
    residual = tf.nn.softmax(logits) - tf.one_hot(targets, tf.shape(logits)[1])
    residual /= tf.cast(tf.shape(logits)[0], tf.float32)  # (N, C)
    kernel_gradient = tf.matmul(features, residual, transpose_a=True) + penalty * kernel
    bias_gradient = tf.reduce_sum(residual, axis=0, keepdims=True)
    return loss, tf.concat([kernel_gradient, bias_gradient], axis=0)


def _top1(weights, features, targets):
    """Percent."""
    logits = tf.matmul(features, weights[:-1].astype(np.float32)) + weights[-1].astype(np.float32)
    return 100.0 * float(np.mean(np.argmax(logits, axis=1) == targets.numpy()))


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
    """One new float32 array and no other: features take gigabytes."""
    features = np.subtract(features, mean, dtype=np.float32)
    features /= scale
    return features
