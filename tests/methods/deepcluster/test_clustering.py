"""Clustering: whitened features, k-means of either library, no empty cluster."""

import sys

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from and_tf.methods.deepcluster import clustering
from and_tf.methods.deepcluster.clustering import cluster, kmeans, refill, whiten

LIBRARIES = ("faiss", "scikit-learn")


@pytest.fixture(params=LIBRARIES)
def library(request, monkeypatch):
    if request.param == "faiss":
        pytest.importorskip("faiss")
    monkeypatch.setattr(clustering, "kmeans_library", lambda: request.param)
    return request.param


def features(count=200, dim=12, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, dim)) @ rng.normal(size=(dim, dim)) + 5).astype("float32")


def blobs(num_blobs=4, each=30, seed=0):
    rng = np.random.default_rng(seed)
    centres = 20 * np.eye(num_blobs, 6)
    truth = np.repeat(np.arange(num_blobs), each)
    return (centres[truth] + rng.normal(size=(len(truth), 6))).astype("float32"), truth


@pytest.mark.parametrize("components", [3, 12, 256])
def test_whitening_is_pca_with_unit_variances_then_unit_rows(components):
    rows = whiten(features(), components)
    kept = min(components, 12)
    expected = PCA(kept, whiten=True, svd_solver="full").fit_transform(features().astype(float))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    signs = np.sign((rows * expected).sum(axis=0))  # of each component, arbitrary
    np.testing.assert_allclose(rows * signs, expected, atol=1e-3)
    assert rows.dtype == np.float32 and rows.shape == (200, kept)


def test_whitening_does_not_depend_on_place_and_scale():
    gram = whiten(features()) @ whiten(features()).T
    moved = whiten(100 * features() + 7)
    np.testing.assert_allclose(moved @ moved.T, gram, atol=2e-3)


def test_directions_without_variance_are_left_out():
    dead = np.concatenate([features(dim=4), np.zeros((200, 2)), features(dim=4)[:, :1]], axis=1)
    rows = whiten(dead)
    assert rows.shape == (200, 4)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_equal_features_are_clustered_into_clusters_of_equal_size(library):
    found, empty = cluster(np.ones((20, 3), "float32"), 4, seed=0)
    assert np.isfinite(whiten(np.ones((20, 3), "float32"))).all()
    assert np.bincount(found).min() > 0 and len(np.unique(found)) == 4
    assert empty > 0


def test_separate_groups_are_found(library):
    rows, truth = blobs()
    best = max(
        normalized_mutual_info_score(truth, kmeans(rows, 4, seed)) for seed in range(5)
    )  # from drawn rows, two of which may lie in one group
    assert best == pytest.approx(1)


def test_scikit_learn_adds_up_on_one_thread(monkeypatch):
    """Of several threads the last to finish decides how sums are rounded."""
    threads, fit_predict = [], KMeans.fit_predict

    def recorded(self, rows):
        threads.append(_openmp_effective_n_threads())
        return fit_predict(self, rows)

    monkeypatch.setattr(KMeans, "fit_predict", recorded)
    monkeypatch.setattr(clustering, "kmeans_library", lambda: "scikit-learn")
    kmeans(whiten(features()), 4, seed=0)
    assert threads == [1]


def test_clusters_follow_from_rows_and_seed(library):
    rows = whiten(features(500))
    first = kmeans(rows, 25, seed=3)
    np.testing.assert_array_equal(first, kmeans(rows.copy(), 25, seed=3))
    assert (first != kmeans(rows, 25, seed=4)).any()
    assert first.dtype == np.int64 and first.shape == (500,)


def test_rows_belong_to_the_nearest_mean_or_hardly_farther(library):
    rows = whiten(features(400))
    found = kmeans(rows, 10, seed=1)
    means = np.stack([rows[found == k].mean(axis=0) for k in range(10)])
    distances = ((rows[:, None] - means) ** 2).sum(axis=2)  # (N, K)
    own = distances[np.arange(400), found]
    # 20 iterations may end before the last row has settled.
    assert np.mean(own <= distances.min(axis=1) + 1e-6) > 0.9


def test_as_many_clusters_as_images_are_one_each(library):
    found, _ = cluster(features(15), 15, seed=0)
    assert sorted(found) == list(range(15))


def test_an_empty_cluster_gets_half_of_the_largest():
    rows = np.stack([np.zeros(10), np.arange(10.0)], axis=1)  # the second feature varies
    found = np.array([0, 0, 0, 2, 2, 2, 2, 2, 2, 2])
    filled = refill(rows, found, num_clusters=4)
    np.testing.assert_array_equal(found, [0, 0, 0, 2, 2, 2, 2, 2, 2, 2])  # not changed
    assert np.bincount(filled).tolist() == [3, 2, 3, 2]
    assert set(filled[3:6]) == {2} and filled[0] == 0


def test_full_clusters_stay_as_they_are():
    found = np.array([1, 0, 2, 1])
    np.testing.assert_array_equal(refill(np.zeros((4, 2)), found, 3), found)


def test_faiss_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert clustering.kmeans_library() == "faiss"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert clustering.kmeans_library() == "scikit-learn"
    assert len(kmeans(features(), 3, seed=0)) == 200
