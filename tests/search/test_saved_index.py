"""An index in a file finds what an exact search finds, and is not taken for that of other rows."""

import numpy as np
import pytest

from and_tf.search.nearest import nearest_rows
from and_tf.search.saved_index import build_index, open_index, save_index

faiss = pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def rows():
    """5,000 rows around 50 centres, of any length."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 16))[rng.integers(0, 50, 5000)] + rng.normal(size=(5000, 16))
    return rows.astype("float32")


@pytest.fixture(scope="module")
def built(rows):
    return build_index(rows, "of these rows")


def test_nearly_all_of_the_nearest_are_found_with_their_cosines(rows, built):
    queries = rows[::50] + np.float32(0.1)
    exact, cosines = nearest_rows(rows, queries, 10)
    found, values = built.search(queries, 10)
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)]
    assert np.mean(shared) > 0.95
    np.testing.assert_allclose(values[:, 0], cosines[:, 0], atol=0.02)
    assert (np.diff(values, axis=1) <= 0).all()


def test_the_recall_is_measured_on_other_rows_than_itself(rows, built):
    assert built.recall >= 98 and 1 <= built.index.nprobe < built.index.nlist


def test_it_is_read_back_as_it_was(rows, built, tmp_path):
    path = save_index(tmp_path / "t.faiss", built)
    again = open_index(path, "of these rows")
    assert again.recall == built.recall and again.index.nprobe == built.index.nprobe
    for one, other in zip(again.search(rows[:9], 5), built.search(rows[:9], 5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_query_reads_of_the_file_only_what_it_looks_into(built, tmp_path):
    index = open_index(save_index(tmp_path / "t.faiss", built), "of these rows").index
    lists = faiss.downcast_InvertedLists(faiss.extract_index_ivf(index).invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)


def test_what_is_no_index_of_these_rows_is_none(built, tmp_path):
    path = tmp_path / "t.faiss"
    assert open_index(path, "of these rows") is None
    for content in (b"", b"short", bytes(1000)):
        path.write_bytes(content)
        assert open_index(path, "of these rows") is None
    save_index(path, built)
    assert open_index(path, "of other rows") is None
    path.write_bytes(path.read_bytes()[:-1])
    assert open_index(path, "of these rows") is None
