"""The search against a full, stable sort of all cosines: same rows, same order, ties included."""

import numpy as np
import pytest

from and_tf.search import nearest
from and_tf.search.nearest import nearest_others, nearest_rows
from benchmarks.timing import peak_mb, resident_mb


def signs(num, seed):
    """Rows of 64 ones and minus ones: their cosines are exact, and many are equal."""
    return np.random.default_rng(seed).choice(np.float32([-1, 1]), (num, 64))


def naive(rows, queries, k, chosen=None):
    """Indices and cosines of the nearest, from the cosines the search itself would see."""
    unit = [nearest.unit_rows(values, "values") for values in (rows, queries)]
    cosines = np.array([[query @ row for row in unit[0]] for query in unit[1]])
    if chosen is not None:
        cosines[:, ~chosen] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, axis=1)


def same_up_to_rounding(found, expected):
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)
    assert np.mean(found[0] == expected[0]) > 0.999  # but for cosines equal up to rounding


@pytest.mark.parametrize("k", [1, 5, 40])
@pytest.mark.parametrize("num_rows", [600, 2000, 2005])
@pytest.mark.parametrize("sort", [False, True])
def test_the_nearest_are_those_of_a_full_sort(num_rows, k, sort):
    draw = np.random.default_rng(num_rows)
    rows = draw.normal(size=(num_rows, 8)).astype("float32")
    if sort:  # as rows are by class: the nearest stand side by side
        rows = rows[np.argsort(rows[:, 0])]
    queries = draw.normal(size=(30, 8)).astype("float32")
    found = nearest_rows(rows, queries, k)
    assert found[0].dtype == np.int32 and found[1].dtype == np.float32
    same_up_to_rounding(found, naive(rows, queries, k))


def test_the_nearest_of_chosen_rows_in_many_blocks_are_those_of_a_full_sort(monkeypatch):
    monkeypatch.setattr(nearest, "ROW_BLOCK", 300)
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(2000, 8)).astype("float32")
    queries = draw.normal(size=(30, 8)).astype("float32")
    chosen = draw.random(2000) < 0.7
    found = nearest_rows(rows, queries, 3, chosen, budget_bytes=150_000)
    assert nearest.block_sizes(2000, 8, 3, 150_000)[1] == 300
    same_up_to_rounding(found, naive(rows, queries, 3, chosen))


@pytest.mark.parametrize("row_block", [10**6, 400])
@pytest.mark.parametrize("k", [1, 5, 40, 500])
def test_of_equally_near_rows_the_lower_indices_come_first(monkeypatch, row_block, k):
    monkeypatch.setattr(nearest, "ROW_BLOCK", row_block)
    rows, queries = signs(2000, seed=0), signs(30, seed=1)
    rows[1500:] = rows[:500]
    budget = 10**9 if row_block > len(rows) else 800_000
    found, right = nearest_rows(rows, queries, k, budget_bytes=budget), naive(rows, queries, k)
    np.testing.assert_array_equal(found[0], right[0])
    np.testing.assert_array_equal(found[1], right[1])


def test_a_collapsed_embedding_gives_the_first_rows():
    indices, cosines = nearest_rows(np.ones((1500, 4)), np.ones((7, 4)), 20)
    np.testing.assert_array_equal(indices, np.tile(np.arange(20), (7, 1)))
    np.testing.assert_array_equal(cosines, np.ones((7, 20)))


def test_keys_sort_by_falling_cosine_then_by_rising_row_and_unpack():
    cosines = np.float32([0.5, -0.25, 1, -1, 0, -0.0, 0.5, 1e-30, -1e-30, -np.inf])
    rows = np.arange(10)[::-1]
    keys = nearest._packed(cosines, rows)
    np.testing.assert_array_equal(np.argsort(keys), np.lexsort([rows, -cosines]))
    unpacked = nearest._unpacked(keys)
    np.testing.assert_array_equal(unpacked[0], rows)
    np.testing.assert_array_equal(unpacked[1], cosines)


def test_the_number_of_threads_does_not_change_what_is_found(monkeypatch):
    draw = np.random.default_rng(0)
    rows, queries = draw.normal(size=(1000, 8)), draw.normal(size=(3, 8))
    expected = nearest_rows(rows, queries, 10)
    for threads in (1, 8):  # more threads than queries
        monkeypatch.setattr(nearest, "NUM_THREADS", threads)
        for found, right in zip(nearest_rows(rows, queries, 10), expected, strict=True):
            np.testing.assert_array_equal(found, right)


def test_many_equal_rows_keep_to_the_budget():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(20_000, 16)).astype("float32")
    rows[:9000] = rows[0]  # each query near them finds all of them equally near
    queries = rows[0] + 0.1 * generator.normal(size=(2000, 16)).astype("float32")
    budget = 64 << 20
    nearest_rows(rows, queries[:200], 50, budget_bytes=budget)  # threads and libraries
    before = resident_mb()
    peak = peak_mb(lambda: nearest_rows(rows, queries, 50, budget_bytes=budget))
    assert peak - before < 1.5 * budget / 1e6


def test_the_nearest_others_are_those_of_a_full_sort_without_the_row_itself():
    rows = np.random.default_rng(0).normal(size=(70, 8)).astype("float32")
    cosines = nearest.unit_rows(rows) @ nearest.unit_rows(rows).T
    np.fill_diagonal(cosines, -np.inf)
    expected = np.argsort(-cosines, axis=1, kind="stable")[:, :4]
    indices, similarity = nearest_others(rows, 4)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(similarity, np.take_along_axis(cosines, expected, 1), atol=1e-6)
    some = np.array([5, 60])
    np.testing.assert_array_equal(nearest_others(rows, 4, some)[0], expected[some])


def test_a_row_never_finds_itself_among_copies():
    indices, cosines = nearest_others(np.ones((30, 4)), 3)
    assert not (indices == np.arange(30)[:, None]).any()
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    with pytest.raises(ValueError, match="k=30"):
        nearest_others(np.ones((30, 4)), 30)
