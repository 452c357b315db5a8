"""Multinomial logistic regression by L-BFGS, a pass over blocks of rows for each step.

Weights are (F + 1, C) on standardised features; their last row is the bias.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from and_tf.data.progress import SECONDS_BEFORE_PROGRESS
from and_tf.evaluation.feature_store import BLOCK_BYTES, Features, row_blocks
from and_tf.search.precision import full_float32
from and_tf.search.rows import check_finite


class Standardisation(NamedTuple):
    """Mean and scale of each feature, (F,) float64 each; a constant has an infinite scale."""

    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class TrainingSet:
    """What a classifier is fitted to.

    Attributes:
        features: (N, F) float.
        targets: (N,) int32, 0..num_classes - 1; any number in rows that no fit uses.
        num_classes: C.
        standardisation: of the features.
    """

    features: np.ndarray | Features
    targets: np.ndarray
    num_classes: int
    standardisation: Standardisation

    def zeros(self) -> np.ndarray:
        """Weights (F + 1, C) float64 to start with."""
        return np.zeros((np.shape(self.features)[1] + 1, self.num_classes))


class Fit(NamedTuple):
    """Weights (F + 1, C) float64, whether they came to the tolerance, and L-BFGS iterations."""

    weights: np.ndarray
    converged: bool
    iterations: int


def moments(features: np.ndarray | Features, is_used: np.ndarray | None = None) -> Standardisation:
    """Mean and standard deviation in two passes over the rows.

    Args:
        features: (N, F) float.
        is_used: (N,) bool, rows that count; None for all.

    Raises:
        ValueError: features that are not finite, used or not.
    """
    count, width = np.shape(features)
    is_used = np.ones(count, bool) if is_used is None else is_used
    mean, square = np.zeros(width), np.zeros(width)
    for part, block in row_blocks(features):
        check_finite(block, "features", part.start)
        mean += block.sum(axis=0, where=is_used[part, None], dtype=np.float64)
    mean /= is_used.sum()
    for part, block in row_blocks(features):
        square += np.square(block - mean).sum(axis=0, where=is_used[part, None])
    deviation = np.sqrt(square / is_used.sum())
    # What rounding leaves of a constant must not be blown up to unit variance.
    is_constant = deviation <= 1e-6 * np.abs(mean)
    return Standardisation(mean, np.where(is_constant, np.inf, deviation))


def minimised(
    training: TrainingSet,
    is_used: np.ndarray,
    start: np.ndarray,
    regularisation: float,
    max_iterations: int,
    tolerance: float,
    bar: tqdm | None = None,
) -> Fit:
    """Weights of least loss on the rows that are used.

    Args:
        training: features and targets.
        is_used: (N,) bool; other rows have no influence.
        start: (F + 1, C) float64 weights.
        regularisation: C as scikit-learn has it: the penalty is |kernel|^2 / (2 C rows used).
        max_iterations: of L-BFGS.
        tolerance: largest gradient (of the mean loss) at which it ends.
        bar: counts the passes over the features.
    """

    def objective(flat):
        weights = flat.reshape(start.shape)
        loss, gradient = loss_and_gradient(weights, training, is_used, regularisation)
        if bar is not None:
            bar.set_postfix_str(f"C {regularisation:g}, gradient {np.abs(gradient).max():.1e}")
            bar.update()
        return loss, gradient.ravel()

    # SciPy's many small vector products run twenty times slower on threads that wait for each
    # other. The products with the features are TensorFlow's and keep its threads.
    with full_float32(), threadpool_limits(1, user_api="blas"):
        result = minimize(
            objective,
            start.ravel(),
            method="L-BFGS-B",
            jac=True,
            options={"maxiter": max_iterations, "gtol": tolerance, "ftol": 1e-14, "maxls": 50},
        )
    return Fit(result.x.reshape(start.shape), bool(result.success), int(result.nit))


def loss_and_gradient(
    weights: np.ndarray, training: TrainingSet, is_used: np.ndarray, regularisation: float
) -> tuple[float, np.ndarray]:
    """Mean cross-entropy plus the penalty on the kernel, and the gradient (F + 1, C) float64."""
    kernel, bias = _folded(weights, training.standardisation)
    loss, gradient = 0.0, np.zeros_like(weights)
    # Wide logits count too: a thousand classes on a hundred features.
    num_rows = max(1, BLOCK_BYTES // (4 * max(kernel.shape)))
    for part, block in row_blocks(training.features, num_rows):
        targets, rows = training.targets[part], is_used[part]
        found = _block_loss_and_gradient(block, targets, rows, kernel, bias)
        loss += float(found[0])
        gradient[:-1] += found[1]
        gradient[-1] += found[2]
    # From the gradient on features as they are to that on standardised ones.
    mean, scale = training.standardisation
    gradient[:-1] -= np.outer(mean, gradient[-1])
    gradient[:-1] /= scale[:, None]
    num_used = is_used.sum()
    penalty = 1 / (regularisation * num_used)
    loss = loss / num_used + 0.5 * penalty * np.sum(np.square(weights[:-1]))
    gradient /= num_used
    gradient[:-1] += penalty * weights[:-1]
    return loss, gradient


@tf.function(
    input_signature=[
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((None,), tf.bool),
        tf.TensorSpec((None, None), tf.float32),
        tf.TensorSpec((None,), tf.float32),
    ]
)
def _block_loss_and_gradient(features, targets, is_used, kernel, bias):
    """Sums over the rows that are used: loss, and its gradient by kernel (F, C) and bias (C,)."""
    logits = tf.matmul(features, kernel) + bias  # (n, C)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)  # (n,)
    # In float64: the line search compares losses that differ in the seventh digit.
    loss = tf.reduce_sum(tf.cast(tf.where(is_used, losses, 0.0), tf.float64))
    residual = tf.nn.softmax(logits) - tf.one_hot(targets, tf.shape(logits)[1])  # (n, C)
    residual = tf.where(is_used[:, None], residual, 0.0)
    return loss, tf.matmul(features, residual, transpose_a=True), tf.reduce_sum(residual, axis=0)


def top1(training: TrainingSet, is_used: np.ndarray, weights: np.ndarray) -> float:
    """Percent of the rows that are used whose highest logit is the target's."""
    kernel, bias = _folded(weights, training.standardisation)
    hits = 0
    for part, block in row_blocks(training.features):
        rows = is_used[part]
        scores = (block if rows.all() else block[rows]) @ kernel + bias  # (n, C)
        hits += np.sum(scores.argmax(axis=1) == training.targets[part][rows])
    return 100.0 * float(hits / is_used.sum())


def logits(
    features: np.ndarray | Features, weights: np.ndarray, standardisation: Standardisation
) -> np.ndarray:
    """(N, C) float32 for features (N, F) as they are, and weights (F + 1, C)."""
    kernel, bias = _folded(weights, standardisation)
    found = np.empty((len(features), len(bias)), np.float32)
    for part, block in row_blocks(features):
        np.matmul(block, kernel, out=found[part])
    return found + bias


def progress_bar(
    description: str, unit: str, progress: bool | None, total: int | None = None
) -> tqdm:
    """A bar that appears after some seconds; None: only where stderr is a terminal."""
    disable = None if progress is None else not progress
    delay = SECONDS_BEFORE_PROGRESS
    return tqdm(total=total, desc=description, unit=unit, disable=disable, delay=delay)


def _folded(weights, standardisation):
    """The kernel and bias, float32, that do on features what the weights do on standardised ones.

    Kernel over scale, and the bias less what the mean brings: no standardised copy is needed.
    """
    kernel = weights[:-1] / standardisation.scale[:, None]  # (F, C)
    bias = weights[-1] - standardisation.mean @ kernel  # (C,)
    return kernel.astype(np.float32), bias.astype(np.float32)
