"""Label-free metrics against naive loops and at the ends of their ranges."""

import numpy as np
import pytest

from and_tf.evaluation import label_free
from and_tf.evaluation.label_free import (
    alignment,
    effective_rank,
    hubness,
    label_free_metrics,
    mutual_neighbours,
    uniformity,
)
from and_tf.search.neighbourhoods import discover


def unit_rows(num_rows, dim, seed=0):
    rows = np.random.default_rng(seed).normal(size=(num_rows, dim)).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_alignment_is_the_mean_squared_distance_of_the_pairs():
    one, other = unit_rows(30, 8, 1), unit_rows(30, 8, 2)
    distances = [np.sum((a - b) ** 2) for a, b in zip(one, other, strict=True)]
    assert alignment(one, other) == pytest.approx(np.mean(distances), rel=1e-6)
    assert alignment(one, one) == 0
    assert alignment(one, -one) == pytest.approx(4, rel=1e-6)


def test_alignment_refuses_embeddings_of_other_shapes():
    with pytest.raises(ValueError, match=r"\(3, 8\) and \(4, 8\)"):
        alignment(unit_rows(3, 8), unit_rows(4, 8))


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_uniformity_matches_a_loop_over_pairs(t, monkeypatch):
    rows = unit_rows(23, 6)
    monkeypatch.setattr(label_free, "BLOCK_BYTES", 4 * 23 * 5)  # blocks of 5 do not divide 23
    potentials = [
        np.exp(-t * np.sum((rows[i].astype("float64") - rows[j]) ** 2))
        for i in range(23)
        for j in range(i)
    ]
    assert uniformity(rows, t) == pytest.approx(np.log(np.mean(potentials)), abs=1e-5)


def test_uniformity_is_zero_when_all_embeddings_are_equal_and_falls_as_they_spread():
    equal = np.repeat(unit_rows(1, 16), 50, axis=0)
    narrow = equal + 0.3 * unit_rows(50, 16, seed=3)
    narrow /= np.linalg.norm(narrow, axis=1, keepdims=True)
    assert uniformity(equal) == pytest.approx(0, abs=1e-5)
    assert uniformity(equal) > uniformity(narrow) > uniformity(unit_rows(50, 16))


def test_uniformity_of_opposite_points_is_finite():
    assert uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]]), t=200) > -1000


def test_effective_rank_counts_equal_directions():
    identity = np.eye(12, dtype="float32")[:, :5]
    assert effective_rank(identity) == pytest.approx(5, abs=1e-3)
    assert effective_rank(np.repeat(unit_rows(1, 16), 40, axis=0)) == pytest.approx(1, abs=1e-3)


def test_effective_rank_does_not_depend_on_scale_or_rotation():
    rows = unit_rows(60, 10)
    rotation, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(10, 10)))
    expected = effective_rank(rows)
    assert effective_rank(7 * rows) == pytest.approx(expected, rel=1e-4)
    assert effective_rank(rows @ rotation) == pytest.approx(expected, rel=1e-4)


def test_hubness_is_zero_without_hubs_and_large_with_one():
    ring = np.stack([(np.arange(20) + 1) % 20, (np.arange(20) - 1) % 20], axis=1)
    star = np.zeros((20, 1), int)
    star[0] = 1
    assert hubness(ring) == 0
    assert hubness(star) > 3


def test_hubness_matches_the_third_standardised_moment():
    neighbours = discover(unit_rows(40, 5), 4).neighbours
    counts = np.array([np.sum(neighbours == i) for i in range(40)], float)
    expected = np.mean(((counts - counts.mean()) / counts.std()) ** 3)
    assert hubness(neighbours) == pytest.approx(expected, rel=1e-6)


def test_mutual_neighbours_matches_a_loop():
    neighbours = discover(unit_rows(40, 5), 3).neighbours
    pairs = [i in neighbours[j] for i in range(40) for j in neighbours[i]]
    assert mutual_neighbours(neighbours) == pytest.approx(100 * np.mean(pairs))
    assert mutual_neighbours(np.array([[1], [0], [0]])) == pytest.approx(100 * 2 / 3)


def test_all_figures_are_finite_when_the_embeddings_have_collapsed():
    rows = np.repeat(unit_rows(1, 8), 30, axis=0)
    found = discover(rows, 3)
    metrics = label_free_metrics(rows, found, found)
    assert all(np.isfinite(list(metrics.values())))
    assert metrics["bank_agreement"] == 100


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (4,)])
def test_uniformity_refuses_less_than_a_pair(shape):
    with pytest.raises(ValueError, match="n of 2 or more"):
        uniformity(np.ones(shape))
