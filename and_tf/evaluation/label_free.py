"""Metrics of embeddings without labels: spread, agreement under augmentation, neighbourhoods."""

import numpy as np
import tensorflow as tf
from scipy.stats import skew

from and_tf.errors import UserError
from and_tf.search.mutual import are_mutual
from and_tf.search.neighbourhoods import Neighbourhoods, neighbour_overlap

NEIGHBOURS = 10  # nearest images of each image in the metrics on neighbourhoods
BLOCK_BYTES = 64 << 20  # squared distances held at once


def alignment(one: np.ndarray, other: np.ndarray) -> float:
    """Mean squared distance between the embeddings of two augmented images of each image.

    Args:
        one, other: (n, D) float, unit rows; row i of both belongs to image i.

    Returns:
        0 (both embeddings of each image coincide) to 4.

    Reference: Wang and Isola, ICML 2020, section 4.1.1, with alpha = 2.
    """
    if one.shape != other.shape:
        raise UserError(f"Both must have the same shape. Received {one.shape} and {other.shape}.")
    return float(np.mean(np.sum(np.square(one - other), axis=1, dtype=np.float64)))


def uniformity(embeddings: np.ndarray, t: float = 2.0) -> float:
    """Log of the mean Gaussian potential exp(-t |x - y|^2) over all pairs of images.

    Args:
        embeddings: (n, D) float, unit rows, n at least 2.
        t: of the Gaussian.

    Returns:
        0 (all embeddings equal) down to about -2 t (spread evenly over the sphere).

    Reference: Wang and Isola, ICML 2020, section 4.1.2.
    """
    rows = tf.constant(_checked(embeddings, at_least=2))
    count = len(embeddings)
    block = max(1, BLOCK_BYTES // (4 * count))
    total = 0.0
    for start in range(0, count, block):
        cosines = tf.matmul(rows[start : start + block], rows, transpose_b=True)  # (b, n)
        potentials = tf.exp(2 * t * (tf.minimum(cosines, 1.0) - 1))  # |x - y|^2 = 2 - 2 x.y
        total += float(tf.reduce_sum(tf.cast(potentials, tf.float64)))
    # Each image forms a pair with itself, of potential 1 up to rounding; other pairs count twice.
    mean = (total - count) / (count * (count - 1))
    return float(np.log(max(mean, float(np.finfo(np.float32).tiny))))


def effective_rank(embeddings: np.ndarray) -> float:
    """RankMe: exp of the entropy of the normalised singular values.

    Args:
        embeddings: (n, D) float.

    Returns:
        1 (all on one line) to min(n, D) (equal spread in all directions).

    Reference: Garrido et al., "RankMe", ICML 2023, eq. 1 and 2.
    """
    values = np.linalg.svd(_checked(embeddings, at_least=1), compute_uv=False).astype(np.float64)
    fractions = values / max(values.sum(), np.finfo(np.float64).tiny) + 1e-7
    return float(np.exp(-np.sum(fractions * np.log(fractions))))


def hubness(neighbours: np.ndarray) -> float:
    """Skewness of how often an image is among the neighbours of others.

    Args:
        neighbours: (n, k) int, indices of each image's nearest among the n images.

    Returns:
        0 if all images are chosen about equally often; large if a few are near to all others.

    Reference: Radovanovic et al., JMLR 2010, section 2.1 (S of N_k).
    """
    counts = np.bincount(neighbours.ravel(), minlength=len(neighbours))
    return float(skew(counts)) if counts.std() > 0 else 0.0


def mutual_neighbours(neighbours: np.ndarray) -> float:
    """Percentage of pairs (i, one of i's neighbours j) in which i is also a neighbour of j.

    Args:
        neighbours: (n, k) int.
    """
    return 100.0 * float(are_mutual(neighbours).mean())


def label_free_metrics(
    embeddings: np.ndarray, found: Neighbourhoods, bank_found: Neighbourhoods | None = None
) -> dict[str, float]:
    """The metrics on the embeddings of clean images.

    Args:
        embeddings: (n, D) float32, unit rows.
        found: their neighbourhoods among themselves, k = `NEIGHBOURS`.
        bank_found: those of the same images' bank rows; None if there is no bank.

    Returns:
        uniformity, effective_rank, hubness, mutual_neighbours (percent), entropy_clean (nats, mean)
        and, with a bank, bank_agreement (percentage of an image's neighbours in the bank that are
        also its neighbours by embedding).
    """
    metrics = {
        "uniformity": uniformity(embeddings),
        "effective_rank": effective_rank(embeddings),
        "hubness": hubness(found.neighbours),
        "mutual_neighbours": mutual_neighbours(found.neighbours),
        "entropy_clean": float(np.mean(found.entropy, dtype=np.float64)),
    }
    if bank_found is not None:
        metrics["bank_agreement"] = neighbour_overlap(bank_found.neighbours, found.neighbours)
    return metrics


def _checked(embeddings: np.ndarray, at_least: int) -> np.ndarray:
    embeddings = np.asarray(embeddings, np.float32)
    if embeddings.ndim != 2 or len(embeddings) < at_least:
        raise UserError(
            f"embeddings must be (n, D) with n of {at_least} or more. Received shape "
            f"{embeddings.shape}."
        )
    return embeddings
