"""The embeddings of a run as a map in the plane."""

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

PERPLEXITY = 30  # the usual one: about how many neighbours each point minds


def embedding_map(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """t-SNE of embeddings by cosine distance; near points are alike, far distances mean little.

    Args:
        embeddings: (n, D) float; 2,000 rows take some ten seconds.
        seed: of the optimisation; the same seed gives the same map.

    Returns:
        (n, 2) float32 in 0..1, both axes at one scale, centred.

    Raises:
        ValueError: if a value is not finite.

    Reference: van der Maaten and Hinton, JMLR 2008, by scikit-learn, started from the two principal
    components.
    """
    embeddings = np.asarray(embeddings, np.float32)
    if not np.isfinite(embeddings).all():
        raise ValueError("Embeddings must be finite to be mapped: the encoder gave NaN, retrain.")
    if len(np.unique(embeddings, axis=0)) < 3:
        return _to_unit_square(_on_a_line(embeddings))  # too few for a start in two dimensions
    perplexity = min(PERPLEXITY, (len(embeddings) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, metric="cosine", init="pca", random_state=seed)
    with threadpool_limits(1):  # threads that wait for each other make it up to ten times slower
        return _to_unit_square(tsne.fit_transform(embeddings))


def _on_a_line(embeddings: np.ndarray) -> np.ndarray:
    _, kinds = np.unique(embeddings, axis=0, return_inverse=True)
    return np.stack([kinds, np.zeros(len(kinds))], axis=1)  # (n, 2)


def _to_unit_square(points: np.ndarray) -> np.ndarray:
    lowest, highest = points.min(axis=0), points.max(axis=0)
    largest = (highest - lowest).max()
    if largest == 0:
        return np.full(points.shape, 0.5, np.float32)
    centred = (points - (lowest + highest) / 2) / largest + 0.5
    return np.clip(centred, 0, 1).astype(np.float32)
