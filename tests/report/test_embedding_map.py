"""t-SNE of embeddings: shape, repeatability, and that near rows stay near."""

import numpy as np
import pytest

from and_tf.report.embedding_map import choose_rows, embedding_map


def clustered_rows(per_cluster=20, dim=16, seed=0):
    """Unit rows around three directions, and their cluster."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(3), per_cluster)
    rows = np.eye(dim)[clusters] + 0.05 * rng.normal(size=(len(clusters), dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32"), clusters


def test_the_map_fills_the_unit_square_and_keeps_clusters_together():
    rows, clusters = clustered_rows()
    points = embedding_map(rows)
    assert points.shape == (60, 2) and points.dtype == np.float32
    assert points.min() == 0 and points.max() == 1
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(clusters[distance.argmin(axis=1)], clusters)


def test_the_map_depends_on_the_cosine_alone():
    rows, clusters = clustered_rows()
    lengths = np.random.default_rng(1).uniform(0.5, 2, (60, 1))
    distance = np.linalg.norm(
        embedding_map(rows * lengths)[:, None] - embedding_map(rows * lengths), axis=-1
    )
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(clusters[distance.argmin(axis=1)], clusters)


def test_the_same_seed_gives_the_same_map():
    rows, _ = clustered_rows()
    np.testing.assert_array_equal(embedding_map(rows, seed=3), embedding_map(rows, seed=3))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 31])
def test_few_rows_are_mapped_as_well(count):
    points = embedding_map(clustered_rows()[0][:count])
    assert points.shape == (count, 2) and np.isfinite(points).all()
    assert points.min() >= 0 and points.max() <= 1


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_repeated_rows_are_mapped_as_well(kinds):
    points = embedding_map(np.tile(clustered_rows()[0][:: 60 // kinds][:kinds], (5, 1)))
    assert points.shape == (5 * kinds, 2) and np.isfinite(points).all()


def test_rows_that_are_not_finite_are_refused():
    rows, _ = clustered_rows()
    rows[3, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        embedding_map(rows)


def test_the_map_holds_the_pool_first_and_no_image_twice():
    pool = np.array([5, 900, 17])
    rows = choose_rows(pool, 1000, most=100)
    assert list(rows[:3]) == [5, 900, 17] and len(set(rows)) == 100 and rows.max() > 950
    assert sorted(choose_rows(pool, 1000, most=2000)) == list(range(1000))
    assert list(choose_rows(pool, 1000, most=2)) == [5, 900, 17]
