"""The benchmark of searches measures what it says, on few rows."""

import json

import numpy as np
import pytest

from benchmarks import search_index

pytest.importorskip("faiss")


def test_every_number_of_rows_has_a_line(tmp_path):
    path = tmp_path / "out.json"
    search_index.main(
        ["--rows=500,900", "--dim=8", "--queries=20", "--repeats=1", f"--json={path}"]
    )
    text = path.read_text()
    assert json.loads(text) and "recall %" in text and "900" in text


def test_recall_is_the_fraction_of_the_exact_neighbours_in_any_order():
    class Found:
        def search(self, queries, k):
            return np.array([[2, 1, 0], [5, -1, 6]]), None

    exact = np.array([[0, 1, 2], [5, 7, 8]])
    assert search_index.recall(Found(), np.zeros((2, 1)), exact) == pytest.approx(100 * 4 / 6)


def test_rows_are_clustered_and_of_unit_length():
    rows = search_index.clustered_rows(400, 16)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    near = np.sort(rows @ rows.T, axis=1)[:, -3]  # the second nearest other, of 10 of its centre
    assert np.median(near) > 0.6
