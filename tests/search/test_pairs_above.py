"""All pairs above a cosine, whatever the block and however many they are."""

import numpy as np
import pytest

from and_tf.errors import UserError
from and_tf.search import pairs_above as module
from and_tf.search.pairs_above import pairs_above


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(31, 6))


def cosines(rows, others):
    unit, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, others))
    return unit @ other.T


@pytest.mark.parametrize("block", [1, 7, 31, 100])
def test_every_pair_above_the_threshold_comes_once_and_most_similar_first(rows, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    found = pairs_above(rows, 0.3)
    expected = np.argwhere(np.triu(cosines(rows, rows) >= 0.3, 1)).tolist()
    assert sorted(found.pairs.tolist()) == expected and len(expected) > 31
    assert (np.diff(found.similarity) <= 0).all()
    values = cosines(rows, rows)[tuple(found.pairs.T)]
    np.testing.assert_allclose(found.similarity, values, atol=1e-6)


def test_the_second_of_a_pair_may_come_from_other_rows(rows):
    others = rows[:, ::-1]
    found = pairs_above(rows, 0.2, others)
    expected = np.argwhere(np.triu(cosines(rows, others) >= 0.2, 1)).tolist()
    assert sorted(found.pairs.tolist()) == expected


def test_too_many_pairs_leave_the_most_similar_and_raise_the_threshold(rows, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)
    every, some = pairs_above(rows, -1.0), pairs_above(rows, -1.0, max_pairs=9)
    assert some.pairs.tolist() == every.pairs[:9].tolist()
    assert some.threshold == pytest.approx(every.similarity[8]) and every.threshold == -1


def test_no_row_and_no_pair():
    assert pairs_above(np.ones((1, 3)), 0.5).pairs.shape == (0, 2)
    assert pairs_above(np.empty((0, 3)), 0.5).pairs.shape == (0, 2)


def test_shapes_that_do_not_fit_are_named(rows):
    with pytest.raises(UserError, match="others must have 31 rows, as rows has"):
        pairs_above(rows, 0.5, rows[:3])
    with pytest.raises(UserError, match="max_pairs=0"):
        pairs_above(rows, 0.5, max_pairs=0)
