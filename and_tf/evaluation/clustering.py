"""k-means clusters of embeddings, and their metrics with and without labels."""

import logging
import warnings

import numpy as np

from and_tf.errors import Argument, UserError

# With more rows the initial centres are those of a sample; then all rows update them. With 200,000
# rows of 128 values and 100 clusters that took 6 s and gave an inertia 0.4 % below that of
# mini-batches, which took longer; faiss reached the same inertia, no sooner (a shared machine, 2
# cores).
SAMPLE_ROWS = 50_000
LARGE_ITERATIONS = 100

# Multiplications per step (rows x values x clusters) from which mini-batches are used: a step on
# all rows then takes several seconds, and all steps many minutes.
PRODUCTS_FOR_MINI_BATCHES = 2**37

# With fewer multiplications per step k-means is faster on one thread, by far on a busy machine.
PRODUCTS_FOR_THREADS = 2**28

SILHOUETTE_IMAGES = 5_000  # sampled if there are more, since all pairs are compared

logger = logging.getLogger(__name__)


def clusters(
    embeddings: np.ndarray, num_clusters: int, seed: int = 0, num_starts: int = 3
) -> np.ndarray:
    """Clusters images by k-means on the L2-normalised embeddings.

    Above 50,000 images the initial centres come from a sample. Mini-batches are used only if a step
    on all images would take seconds, and that is logged.

    Args:
        embeddings: (N, D) float.
        num_clusters: at most N. If there are fewer distinct embeddings, some clusters are empty.
        seed: of the initial centres.
        num_starts: number of initial centres to try.

    Returns:
        (N,) int32, cluster of each image, numbered by size, the largest cluster 0.

    Raises:
        UserError: if num_clusters is not in 1..N.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits

    embeddings = np.asarray(embeddings, np.float32)
    num_images = len(embeddings)
    if not 1 <= num_clusters <= num_images:
        raise UserError(
            Argument("num_clusters", num_clusters),
            f" must be at least 1 and at most the number of images, {num_images}.",
        )
    threads = None if embeddings.size * num_clusters > PRODUCTS_FOR_THREADS else 1
    with threadpool_limits(threads), warnings.catch_warnings():  # empty clusters show in the result
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = _kmeans(normalize(embeddings), num_clusters, seed, num_starts)
    by_size = np.argsort(-np.bincount(found, minlength=num_clusters), kind="stable")
    return np.argsort(by_size).astype(np.int32)[found]


def _kmeans(rows: np.ndarray, num_clusters: int, seed: int, num_starts: int) -> np.ndarray:
    """(N,) int32, the cluster of each of the unit rows (N, D)."""
    from sklearn.cluster import KMeans, MiniBatchKMeans

    kmeans = KMeans(num_clusters, n_init=num_starts, random_state=seed)
    num_rows = max(SAMPLE_ROWS, num_clusters)
    if len(rows) <= num_rows:
        return kmeans.fit_predict(rows)
    sample = np.random.default_rng(seed).choice(len(rows), num_rows, replace=False)
    centres = kmeans.fit(rows[np.sort(sample)]).cluster_centers_
    if rows.size * num_clusters < PRODUCTS_FOR_MINI_BATCHES:
        start = {"init": centres, "n_init": 1, "random_state": seed}
        return KMeans(num_clusters, max_iter=LARGE_ITERATIONS, **start).fit_predict(rows)
    logger.warning(
        "%s clusters of %s images are found in mini-batches, because steps over all images would "
        "take too long: they are approximate.", f"{num_clusters:,}", f"{len(rows):,}",
    )  # fmt: skip
    mini = MiniBatchKMeans(num_clusters, batch_size=4096, init=centres, n_init=1, random_state=seed)
    return mini.fit_predict(rows)


def cluster_metrics(
    embeddings: np.ndarray, found: np.ndarray, labels: np.ndarray | None = None, seed: int = 0
) -> dict[str, float]:
    """Metrics of clusters: from the embeddings alone, and from labels if there are any.

    Args:
        embeddings: (N, D) float.
        found: (N,) int, cluster of each image.
        labels: (N,) int; images with label -1 count only for the silhouette. None for no labels.
        seed: of the images sampled for the silhouette if there are more than 5,000.

    Returns:
        `silhouette` (cosine, -1..1; left out if it is not defined, because all images are in one
        cluster or each is in its own) and, with labels, `nmi` (normalised by the arithmetic mean,
        0..1), `ari` (-0.5..1) and `hungarian_accuracy` (percent).

    References: Rousseeuw 1987 (silhouette); Strehl and Ghosh 2002 (NMI); Hubert and Arabie 1985
    (ARI); Xie et al., ICML 2016, eq. 10 (accuracy).
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    metrics = {}
    known = np.zeros(len(found), bool) if labels is None else np.asarray(labels) >= 0
    if known.any():
        truth, clustered = np.asarray(labels)[known], np.asarray(found)[known]
        metrics["nmi"] = float(normalized_mutual_info_score(truth, clustered))
        metrics["ari"] = float(adjusted_rand_score(truth, clustered))
        metrics["hungarian_accuracy"] = hungarian_accuracy(clustered, truth)
    value = silhouette(embeddings, np.asarray(found), seed)
    return metrics if value is None else metrics | {"silhouette": value}


def hungarian_accuracy(found: np.ndarray, labels: np.ndarray) -> float:
    """Percent of images in the cluster of their class, under the best pairing of the two.

    Each cluster is paired with at most one class and each class with at most one cluster. If their
    numbers differ, the images of those left over count as wrong.

    Args:
        found: (N,) int, cluster of each image.
        labels: (N,) int, class of each image.
    """
    from scipy.optimize import linear_sum_assignment

    _, classes = np.unique(labels, return_inverse=True)
    _, found = np.unique(found, return_inverse=True)
    shared = np.zeros((found.max() + 1, classes.max() + 1), np.int64)  # (clusters, classes)
    np.add.at(shared, (found, classes), 1)
    pairs = linear_sum_assignment(shared, maximize=True)
    return 100.0 * float(shared[pairs].sum() / len(labels))


def silhouette(embeddings: np.ndarray, found: np.ndarray, seed: int) -> float | None:
    """Mean silhouette by cosine of at most 5,000 images; None if it is not defined."""
    from sklearn.metrics import silhouette_score

    if len(found) > SILHOUETTE_IMAGES:
        drawn = np.random.default_rng(seed).permutation(len(found))[:SILHOUETTE_IMAGES]
        embeddings, found = embeddings[drawn], found[drawn]
    if not 2 <= len(np.unique(found)) < len(found):
        return None
    return float(silhouette_score(embeddings, found, metric="cosine"))
