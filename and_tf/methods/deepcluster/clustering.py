"""Clusters of features: whitened, by k-means of a library, none of them empty."""

import importlib.util
import warnings

import numpy as np

from and_tf.search.native import call_natively

COMPONENTS = 256  # of the principal components that are kept, at most
ITERATIONS = 20  # of k-means
# A component whose variance is a smaller fraction of the largest one is rounding in float32, and
# whitening would make as much of it as of the others.
LEAST_VARIANCE = 1e-6


def cluster(features: np.ndarray, num_clusters: int, seed: int) -> tuple[np.ndarray, int]:
    """Assigns images to clusters of about equal features, as DeepCluster does.

    Args:
        features: (N, F) float32.
        num_clusters: K, at most N.
        seed: of the first centres.

    Returns:
        (N,) int64, the cluster of each image, of which none in 0..K-1 is empty; and how many
        clusters k-means left empty, each of which was filled with half of a large one.

    Reference: Caron et al., ECCV 2018, section 3, and its public code.
    """
    found = kmeans(whiten(features), num_clusters, seed)
    empty = num_clusters - len(np.unique(found))
    return refill(features, found, num_clusters), empty


def whiten(features: np.ndarray, components: int = COMPONENTS) -> np.ndarray:
    """Principal components, each brought to variance 1, of rows then brought to unit length.

    Args:
        features: (N, F) float.
        components: how many are kept, at most; fewer where the features have fewer dimensions.

    Returns:
        (N, C) float32.
    """
    features = np.asarray(features, np.float32)
    centred = features - features.mean(axis=0)  # (N, F)
    variances, axes = np.linalg.eigh(centred.T @ centred / np.float32(len(features)))  # rising
    variances, axes = variances[::-1][:components], axes[:, ::-1][:, :components]
    count = max(1, int(np.sum(variances > LEAST_VARIANCE * variances[0])))
    scale = 1 / np.sqrt(np.maximum(variances[:count], np.float32(1e-30)))
    rows = centred @ (axes[:, :count] * scale)  # (N, C)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))


def kmeans_library() -> str:
    """`faiss` where it is installed, else `scikit-learn`."""
    return "faiss" if importlib.util.find_spec("faiss") else "scikit-learn"


def kmeans(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """(N,) int64, clusters of rows (N, C) after 20 iterations from random rows; some may be empty.

    The same rows and seed give the same clusters, with the same library.
    """
    by_library = _by_faiss if kmeans_library() == "faiss" else _by_scikit_learn
    return by_library(rows, num_clusters, seed)


def _by_faiss(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    import faiss

    rows = np.ascontiguousarray(rows, np.float32)
    found = faiss.Kmeans(
        rows.shape[1],
        num_clusters,
        niter=ITERATIONS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),  # all rows, no sample
    )
    call_natively(found.train, rows)
    return call_natively(found.assign, rows)[1].astype(np.int64)


def _by_scikit_learn(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    found = KMeans(
        num_clusters, init="random", n_init=1, max_iter=ITERATIONS, tol=0.0, random_state=seed
    )

    def assign() -> np.ndarray:
        # On one thread: several add up their sums in the order in which they finish, and a resumed
        # run could land in another assignment. OpenMP keeps its limit per thread: it is set here.
        with threadpool_limits(1):
            return found.fit_predict(rows)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call_natively(assign).astype(np.int64)


def refill(features: np.ndarray, found: np.ndarray, num_clusters: int) -> np.ndarray:
    """Fills each empty cluster with half of the one that is the largest then.

    It is cut at the median of the feature that varies most in it.

    Args:
        features: (N, F) float.
        found: (N,) int, a cluster for each row.
        num_clusters: K, at most N.

    Returns:
        (N,) int64, with every cluster of 0..K-1.
    """
    found = np.array(found, np.int64)
    sizes = np.bincount(found, minlength=num_clusters)
    for empty in np.flatnonzero(sizes == 0):
        largest = int(sizes.argmax())
        members = np.flatnonzero(found == largest)
        rows = features[members]
        widest = int(rows.var(axis=0).argmax())
        upper = members[np.argsort(rows[:, widest], kind="stable")[len(members) // 2 :]]
        found[upper] = empty
        sizes[empty], sizes[largest] = len(upper), len(members) - len(upper)
    return found
