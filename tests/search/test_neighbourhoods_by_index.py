import re

import numpy as np
import pytest

from and_tf.methods.anchor_neighbourhoods.method import AnchorNeighbourhoods
from and_tf.search import neighbourhoods_by_index as index
from and_tf.search.neighbourhoods import discover, neighbour_overlap
from and_tf.search.neighbourhoods_by_index import discover_by_index

faiss = pytest.importorskip("faiss")


def clustered_rows(num_rows, dim=32, num_clusters=50, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_clusters, dim))
    rows = centres[rng.integers(0, num_clusters, num_rows)]
    return (rows + rng.normal(scale=0.5, size=rows.shape)).astype("float32")


@pytest.mark.parametrize("num_rows", [2, 5, 40, 700])
@pytest.mark.parametrize("temperature", [0.005, 0.1, 1.0])
def test_few_rows_are_found_exactly(num_rows, temperature):
    rows = clustered_rows(num_rows)
    k = min(3, num_rows - 1)
    exact, found = discover(rows, k, temperature), discover_by_index(rows, k, temperature)
    assert neighbour_overlap(exact.neighbours, found.neighbours) >= 95
    np.testing.assert_allclose(found.entropy, exact.entropy, atol=1e-4)
    assert found.neighbours.dtype == np.int32 and found.entropy.dtype == np.float32


def test_recall_and_entropy_error_are_measured_and_logged(monkeypatch, caplog):
    caplog.set_level("INFO", logger="and_tf")
    monkeypatch.setattr(index, "TAIL_SAMPLE", 1000)
    rows = clustered_rows(4000)
    exact, found = discover(rows, 2), discover_by_index(rows, 2, progress=True)
    message = caplog.messages[-1]
    recall = float(re.search(r"recall@2 ([\d.]+) %", message)[1])
    assert recall >= 95 and abs(recall - neighbour_overlap(exact.neighbours, found.neighbours)) < 2
    error = np.abs(found.entropy - exact.entropy)
    mean, largest = re.search(r"by ([\d.]+) nats on average, ([\d.]+) at most", message).groups()
    assert abs(float(mean) - error.mean()) < 0.005 and 0 < error.mean() < 0.05
    assert float(largest) <= error.max() + 1e-4


def test_equal_seeds_give_equal_results(monkeypatch):
    monkeypatch.setattr(index, "TAIL_SAMPLE", 300)
    rows = clustered_rows(2000)
    one, again, other = (discover_by_index(rows, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.entropy, again.entropy)
    np.testing.assert_array_equal(one.neighbours, again.neighbours)
    assert (one.entropy != other.entropy).any()  # another sample of the tail


def test_no_row_is_its_own_neighbour_and_none_is_missing():
    rows = np.repeat(clustered_rows(30), 100, axis=0)  # copies, more than are counted one by one
    found = discover_by_index(rows, 5)
    assert (found.neighbours >= 0).all()
    assert not (found.neighbours == np.arange(len(rows))[:, None]).any()
    assert all(len(set(near)) == 5 for near in found.neighbours)


def test_rows_that_are_not_finite_and_settings_out_of_range_are_refused():
    rows = clustered_rows(10)
    with pytest.raises(ValueError, match=r"neighbourhood_size=10 .* images, 10"):
        discover_by_index(rows, 10)
    with pytest.raises(ValueError, match="finite"):
        discover_by_index(np.full_like(rows, np.nan))


def test_half_precision_is_for_exact_search():
    with pytest.raises(ValueError, match="neighbour_search='exact'"):
        AnchorNeighbourhoods(neighbour_search="faiss", discovery_precision="bfloat16")
