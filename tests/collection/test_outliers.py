"""Outliers are what lies far from its neighbours, measured by the collection itself."""

import numpy as np
import pytest

from and_tf.collection.collection import Collection, search_neighbours
from and_tf.collection.outliers import find_outliers, outlier_k
from and_tf.data.sources.source import array_source


def collection_of(embeddings):
    source = array_source(np.zeros((len(embeddings), 2, 2, 3), np.uint8))
    return Collection(
        source, embeddings, *search_neighbours(embeddings, min(50, len(embeddings) - 1))
    )


def clustered(count, strangers, seed=0, dim=16):
    """Rows around five centres, and some from anywhere at the end."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(5, dim))
    rows = centres[draw.integers(5, size=count)] + 0.2 * draw.normal(size=(count, dim))
    return np.concatenate([rows, draw.normal(size=(strangers, dim))]).astype("float32")


@pytest.mark.parametrize("seed", range(3))
def test_strangers_have_the_highest_scores_and_are_named(seed):
    found = find_outliers(collection_of(clustered(400, 8, seed)))
    assert set(np.argsort(-found.scores)[:8]) == set(range(400, 408))
    assert found.is_outlier[400:].all() and found.is_outlier[:400].mean() < 0.05


def test_scores_are_distances_to_the_kth_neighbour_over_their_median():
    rows = clustered(100, 2)
    found = find_outliers(collection_of(rows))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distance = np.sort(1 - unit @ unit.T, axis=1)[:, found.k]  # column 0 is the row itself
    np.testing.assert_allclose(found.scores, distance / np.median(distance), rtol=1e-3)


def test_a_few_foreign_images_alike_do_not_hide_each_other():
    rows = clustered(400, 8)
    rows[-8:] = rows[-1] + 0.01 * rows[-8:]
    found = find_outliers(collection_of(rows))
    assert found.k == 10 and found.is_outlier[-8:].all()


@pytest.mark.parametrize(("count", "k"), [(1, 0), (2, 1), (5, 4), (200, 5), (1000, 25), (9999, 50)])
def test_k_grows_with_the_collection(count, k):
    assert outlier_k(count) == k


def test_a_collapsed_or_single_embedding_has_no_outlier():
    assert not find_outliers(collection_of(np.ones((30, 4), np.float32))).is_outlier.any()
    found = find_outliers(collection_of(np.ones((1, 4), np.float32)))
    assert found.k == 0 and found.scores.tolist() == [1]
