"""Multinomial logistic regression on standardised features that fit in memory, by scikit-learn.

Weights are (F + 1, C) on standardised features; their last row is the bias.
"""

import warnings
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from and_tf.evaluation.feature_store import row_blocks
from and_tf.search.rows import check_finite


class Standardisation(NamedTuple):
    """Mean and scale of each feature, (F,) float64 each; a constant has an infinite scale."""

    mean: np.ndarray
    scale: np.ndarray


class Fit(NamedTuple):
    """Weights (F + 1, C) float64, whether they reached the tolerance, and L-BFGS iterations."""

    weights: np.ndarray
    converged: bool
    iterations: int


def moments(features: np.ndarray, is_used: np.ndarray | None = None) -> Standardisation:
    """Mean and standard deviation in two passes over the rows.

    Args:
        features: (N, F) float.
        is_used: (N,) bool, rows that count; None for all.

    Raises:
        UserError: if features are not finite, even in rows that do not count.
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
    std = np.sqrt(square / is_used.sum())
    # The rounding noise of a constant must not be scaled to unit variance.
    is_constant = std <= 1e-6 * np.abs(mean)
    return Standardisation(mean, np.where(is_constant, np.inf, std))


def standardised(features: np.ndarray, standardisation: Standardisation) -> np.ndarray:
    """A copy (N, F) float32 with zero mean and unit variance; constants become 0."""
    mean, scale = standardisation
    rows = np.empty(np.shape(features), np.float32)
    for part, block in row_blocks(features):
        rows[part] = (block - mean) / scale
    return rows


def fit_in_memory(
    rows: np.ndarray,
    targets: np.ndarray,
    start: np.ndarray,
    regularisation: float,
    max_iterations: int,
    tolerance: float,
) -> Fit:
    """The weights that minimise the loss, by scikit-learn's L-BFGS.

    Args:
        rows: (n, F) float32, standardised.
        targets: (n,) int, each of 0..C - 1 at least once.
        start: (F + 1, C) float64, initial weights.
        regularisation: C as in scikit-learn: the penalty is |kernel|^2 / (2 C n).
        max_iterations: of L-BFGS.
        tolerance: largest gradient (of the mean loss) at which it ends.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # With two classes scikit-learn fits one logit w. The pair (-w / 2, w / 2) costs half as much.
    is_binary = start.shape[1] == 2
    model = LogisticRegression(
        C=regularisation * (1 + is_binary), tol=tolerance, max_iter=max_iterations, warm_start=True
    )
    first = start[:, 1:] - start[:, :1] if is_binary else start
    model.coef_, model.intercept_ = first[:-1].T.astype(rows.dtype), first[-1].astype(rows.dtype)
    # One thread: SciPy's many small vector products make the threads of a matrix product wait for
    # each other. 10,000 x 1,024 features took 0.5 s instead of 4.3 s on a shared machine, 2 cores.
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(rows, targets)
    weights = np.vstack([model.coef_.T, model.intercept_]).astype(np.float64)
    if is_binary:
        weights = np.hstack([-weights / 2, weights / 2])
    converged = not any(issubclass(each.category, ConvergenceWarning) for each in caught)
    return Fit(weights, converged, int(model.n_iter_[0]))


def top1(
    features: np.ndarray,
    targets: np.ndarray,
    is_used: np.ndarray,
    weights: np.ndarray,
    standardisation: Standardisation,
) -> float:
    """Percentage of the used rows whose highest logit is the target's.

    Args:
        features: (N, F) float, not standardised.
        targets: (N,) int.
        is_used: (N,) bool.
        weights: (F + 1, C) float64.
        standardisation: of the features.
    """
    kernel, bias = folded(weights, standardisation)
    hits = 0
    for part, block in row_blocks(features):
        rows = is_used[part]
        scores = (block if rows.all() else block[rows]) @ kernel + bias  # (n, C)
        hits += np.sum(scores.argmax(axis=1) == targets[part][rows])
    return 100.0 * float(hits / is_used.sum())


def logits(
    features: np.ndarray, weights: np.ndarray, standardisation: Standardisation
) -> np.ndarray:
    """(N, C) float32 for features (N, F) that are not standardised, and weights (F + 1, C)."""
    kernel, bias = folded(weights, standardisation)
    found = np.empty((len(features), len(bias)), np.float32)
    for part, block in row_blocks(features):
        np.matmul(block, kernel, out=found[part])
    return found + bias


def folded(weights: np.ndarray, standardisation: Standardisation) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias, float32, for features that are not standardised, from weights for those that
    are.

    The standardisation is folded into them, so that no standardised copy is needed.
    """
    kernel = weights[:-1] / standardisation.scale[:, None]  # (F, C)
    bias = weights[-1] - standardisation.mean @ kernel  # (C,)
    return kernel.astype(np.float32), bias.astype(np.float32)
