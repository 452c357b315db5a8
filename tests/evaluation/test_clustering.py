import itertools

import numpy as np
import pytest

from and_tf.evaluation import clustering
from and_tf.evaluation.clustering import cluster_metrics, clusters, hungarian_accuracy


@pytest.fixture
def embeddings():
    return np.random.default_rng(0).normal(size=(31, 6)).astype("float32")


@pytest.mark.parametrize(("sample_rows", "most_products"), [(1000, 1), (30, 2**37), (30, 1)])
def test_clusters_are_found_whatever_the_length_and_numbered_by_size(
    monkeypatch, sample_rows, most_products
):
    monkeypatch.setattr(clustering, "SAMPLE_ROWS", sample_rows)
    monkeypatch.setattr(clustering, "PRODUCTS_FOR_MINI_BATCHES", most_products)
    draw = np.random.default_rng(0)
    truth = np.repeat([2, 0, 1], [10, 50, 30])  # numbered by size
    rows = np.eye(3)[truth] + 0.05 * draw.normal(size=(90, 3))
    rows *= 10.0 ** draw.integers(-3, 3, (90, 1))
    order = draw.permutation(90)
    found = clusters(rows[order], num_clusters=3)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, truth[order])
    np.testing.assert_array_equal(found, clusters(rows[order], num_clusters=3))


def test_many_images_are_clustered_in_full_and_mini_batches_are_logged(monkeypatch, caplog):
    """Lloyd's steps of all rows end where each row lies nearest its own cluster's mean."""
    monkeypatch.setattr(clustering, "SAMPLE_ROWS", 50)
    rows = np.random.default_rng(0).normal(size=(400, 5)).astype("float32")
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def is_at_rest(found):
        means = np.stack([unit[found == number].mean(axis=0) for number in range(7)])
        distance = ((unit[:, None] - means) ** 2).sum(axis=2)
        return np.mean(distance.argmin(axis=1) == found) > 0.99

    assert is_at_rest(clusters(rows, 7)) and not caplog.text
    monkeypatch.setattr(clustering, "PRODUCTS_FOR_MINI_BATCHES", 1)
    assert not is_at_rest(clusters(rows, 7))
    assert "7 clusters of 400 images are found in mini-batches" in caplog.text


@pytest.mark.parametrize("count", [0, 32])
def test_more_clusters_than_images_are_refused(embeddings, count):
    with pytest.raises(ValueError, match=rf"num_clusters={count} .* images, 31"):
        clusters(embeddings, count)


def test_equal_embeddings_fill_one_cluster_without_a_warning(recwarn):
    found = clusters(np.ones((20, 4), "float32"), num_clusters=3)
    assert set(found) == {0} and not recwarn
    assert cluster_metrics(np.ones((20, 4)), found) == {}  # no silhouette of one cluster


def loop_accuracy(found, labels):
    """The best of all pairings, by trying them."""
    found, labels = (np.unique(values, return_inverse=True)[1] for values in (found, labels))
    wide = max(found.max(), labels.max()) + 1
    pairings = itertools.permutations(range(wide))
    return 100 * max(np.mean(np.array(pairing)[found] == labels) for pairing in pairings)


@pytest.mark.parametrize(("num_clusters", "num_classes"), [(4, 4), (6, 3), (2, 5), (1, 3)])
def test_hungarian_accuracy_is_the_best_of_all_pairings(num_clusters, num_classes):
    draw = np.random.default_rng(num_clusters)
    found, labels = draw.integers(0, num_clusters, 50), 10 * draw.integers(0, num_classes, 50)
    assert hungarian_accuracy(found, labels) == pytest.approx(loop_accuracy(found, labels))


def test_figures_of_perfect_clusters_and_of_chance(embeddings):
    labels = np.repeat([5, 0, 9], [10, 11, 10])
    apart = np.eye(6, dtype="float32")[labels % 4] + 0.01 * embeddings
    found = cluster_metrics(apart, np.repeat([1, 2, 0], [10, 11, 10]), labels)
    assert found["nmi"] == found["ari"] == 1 and found["hungarian_accuracy"] == 100
    draw = np.random.default_rng(0)
    chance = cluster_metrics(
        draw.normal(size=(3000, 4)), draw.integers(0, 10, 3000), draw.integers(0, 10, 3000)
    )
    assert abs(chance["ari"]) < 0.01 and chance["nmi"] < 0.02 and abs(chance["silhouette"]) < 0.1
    assert 10 < chance["hungarian_accuracy"] < 15


def test_silhouette_matches_a_loop_and_needs_no_label(embeddings):
    found = clusters(embeddings, 4)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distance = 1 - unit @ unit.T
    values = []
    for i, own in enumerate(found):
        others = [j for j in np.flatnonzero(found == own) if j != i]
        if not others:
            values.append(0.0)
            continue
        inside = distance[i, others].mean()
        outside = min(distance[i, found == c].mean() for c in set(found) - {own})
        values.append((outside - inside) / max(inside, outside))
    metrics = cluster_metrics(embeddings, found)
    assert metrics == {"silhouette": pytest.approx(np.mean(values), abs=1e-5)}


def test_unlabelled_images_count_for_the_silhouette_only(embeddings):
    found, labels = clusters(embeddings, 3), np.arange(31) % 2
    some = np.where(np.arange(31) < 20, labels, -1)
    metrics = cluster_metrics(embeddings, found, some)
    assert metrics["ari"] == cluster_metrics(embeddings[:20], found[:20], labels[:20])["ari"]
    assert metrics["silhouette"] == cluster_metrics(embeddings, found)["silhouette"]
    assert set(cluster_metrics(embeddings, found, np.full(31, -1))) == {"silhouette"}


def test_silhouette_of_many_images_is_that_of_a_sample(embeddings, monkeypatch):
    whole = cluster_metrics(np.tile(embeddings, (20, 1)), np.tile(clusters(embeddings, 3), 20))
    monkeypatch.setattr(clustering, "SILHOUETTE_IMAGES", 400)
    part = cluster_metrics(np.tile(embeddings, (20, 1)), np.tile(clusters(embeddings, 3), 20))
    assert part["silhouette"] != whole["silhouette"]
    assert part["silhouette"] == pytest.approx(whole["silhouette"], abs=0.05)


def test_each_image_in_its_own_cluster_has_no_silhouette(embeddings):
    assert cluster_metrics(embeddings, np.arange(31)) == {}
