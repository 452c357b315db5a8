"""Multinomial logistic regression on features that do not fit in memory.

Each step of L-BFGS is a pass over blocks of rows. Weights are (F + 1, C) on standardised features,
of which no copy is made; their last row is the bias.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from and_tf.evaluation.feature_store import BLOCK_BYTES, row_blocks
from and_tf.evaluation.logistic import Fit, Standardisation, folded
from and_tf.search.precision import full_float32


@dataclass(frozen=True)
class TrainingSet:
    """The data that a classifier is fitted to.

    Attributes:
        features: (N, F) float, not standardised.
        targets: (N,) int32, 0..C - 1; any number in rows that no fit uses.
        standardisation: of the features.
    """

    features: np.ndarray
    targets: np.ndarray
    standardisation: Standardisation


def fit_streaming(
    training: TrainingSet,
    is_used: np.ndarray,
    start: np.ndarray,
    regularisation: float,
    max_iterations: int,
    tolerance: float,
) -> Fit:
    """The weights that minimise the loss on the rows that are used.

    Args:
        training: features and targets.
        is_used: (N,) bool; other rows have no influence.
        start: (F + 1, C) float64, initial weights.
        regularisation: C as in scikit-learn: the penalty is |kernel|^2 / (2 C rows used).
        max_iterations: of L-BFGS.
        tolerance: largest gradient (of the mean loss) at which it ends.
    """

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        loss, gradient = loss_and_gradient(weights, training, is_used, regularisation)
        return loss, gradient.ravel()

    # SciPy's many small vector products run twenty times slower on threads that wait for each
    # other. Products with the features are computed by TensorFlow with its own threads.
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
    kernel, bias = folded(weights, training.standardisation)
    loss, gradient = 0.0, np.zeros_like(weights)
    # Logits may be wider than features, as with a thousand classes and a hundred features.
    num_rows = max(1, BLOCK_BYTES // (4 * max(kernel.shape)))
    for part, block in row_blocks(training.features, num_rows):
        targets, rows = training.targets[part], is_used[part]
        found = _block_loss_and_gradient(block, targets, rows, kernel, bias)
        loss += float(found[0])
        gradient[:-1] += found[1]
        gradient[-1] += found[2]
    # Converts the gradient for raw features to that for standardised ones.
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
def _block_loss_and_gradient(
    features: tf.Tensor, targets: tf.Tensor, is_used: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Sums over the used rows: the loss, and its gradients by kernel (F, C) and bias (C,)."""
    logits = tf.matmul(features, kernel) + bias  # (n, C)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)  # (n,)
    # In float64: the line search compares losses that differ in the seventh digit.
    loss = tf.reduce_sum(tf.cast(tf.where(is_used, losses, 0.0), tf.float64))
    residual = tf.nn.softmax(logits) - tf.one_hot(targets, tf.shape(logits)[1])  # (n, C)
    residual = tf.where(is_used[:, None], residual, 0.0)
    return loss, tf.matmul(features, residual, transpose_a=True), tf.reduce_sum(residual, axis=0)
