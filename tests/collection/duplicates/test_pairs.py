"""Near-duplicates are listed once, the most similar first."""

import csv

import numpy as np
import pytest

from and_tf.collection.duplicates.pairs import Pair, near_duplicates, write_duplicates
from and_tf.search.nearest import nearest_others


@pytest.fixture
def embeddings():
    return np.random.default_rng(0).normal(size=(31, 6)).astype("float32")


def test_near_duplicates_come_once_and_by_similarity(embeddings):
    indices, similarity = nearest_others(embeddings, 30)
    found = near_duplicates(indices, similarity, threshold=0.5)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosine = unit @ unit.T
    expected = {(i, j) for i in range(31) for j in range(i + 1, 31) if cosine[i, j] >= 0.5}
    assert len(found) == len(expected) and {(i, j) for i, j, _ in found} == expected
    values = [value for _, _, value in found]
    assert values == sorted(values, reverse=True)
    np.testing.assert_allclose(values, [cosine[i, j] for i, j, _ in found], atol=1e-6)


def test_a_pair_seen_from_one_side_only_is_found():
    assert near_duplicates([[2], [2], [1]], np.array([[0.9], [0.95], [0.95]]), 0.9) == [
        (1, 2, 0.95),
        (0, 2, 0.9),
    ]
    assert near_duplicates([[1], [0]], np.array([[0.5], [0.5]]), threshold=0.9) == []


def test_the_list_holds_names_that_are_no_csv_and_no_utf8(tmp_path):
    names = ['a,"b".png', b"caf\xe9.png".decode("utf-8", "surrogateescape")]
    path = write_duplicates(tmp_path / "pairs.csv", [Pair(0, 1, 0.99996)], names)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["image", "other", "similarity"], ['a,"b".png', "caf?.png", "1.0000"]]
