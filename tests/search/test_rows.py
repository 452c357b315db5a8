import numpy as np
import pytest

from and_tf.search.rows import check_widths, is_other, unit_rows


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1.0, 1e20, 1e37])
def test_rows_of_any_length_come_to_length_one(scale):
    rows = np.random.default_rng(0).normal(size=(50, 9))
    found = unit_rows((rows * scale).astype("float32"))
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5 if scale < 1e-30 else 2e-7)
    assert found.dtype == np.float32


def test_rows_of_zeros_stay_and_inputs_are_not_changed():
    rows = np.array([[0, 0], [3, 4]], "float32")
    np.testing.assert_array_equal(unit_rows(rows), np.float32([[0, 0], [0.6, 0.8]]))
    np.testing.assert_array_equal(rows, [[0, 0], [3, 4]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_with_its_place(value):
    rows = np.ones((5, 3))
    rows[3:, 1] = value
    with pytest.raises(ValueError, match=r"2 of 5 queries hold NaN .* first index 103"):
        unit_rows(rows, "queries", start=100)


def test_a_row_is_left_out_of_what_it_found_or_else_the_last_one():
    found = np.array([[0, 4, 5], [6, 1, 5], [7, 8, 9]])
    is_kept = is_other(found, np.array([0, 1, 2]))
    np.testing.assert_array_equal(found[is_kept].reshape(3, 2), [[4, 5], [6, 5], [7, 8]])


def test_widths_that_differ_are_named():
    with pytest.raises(ValueError, match=r"\(3, 4\) and queries of shape \(5, 2\)"):
        check_widths(np.ones((3, 4)), np.ones((5, 2)))
