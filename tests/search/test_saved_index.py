"""An index in a file finds what an exact search finds, and is not taken for that of other rows."""

import json
import os

import numpy as np
import pytest

from and_tf.search.nearest import nearest_rows
from and_tf.search.saved_index import MAGIC, build_index, open_index, save_index

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
    again = open_index(path, "of these rows", 5000)
    assert again.recall == built.recall and again.index.nprobe == built.index.nprobe
    for one, other in zip(again.search(rows[:9], 5), built.search(rows[:9], 5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_query_reads_of_the_file_only_what_it_looks_into(built, tmp_path):
    index = open_index(save_index(tmp_path / "t.faiss", built), "of these rows", 5000).index
    lists = faiss.downcast_InvertedLists(faiss.extract_index_ivf(index).invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)


def test_what_is_no_index_of_these_rows_is_none(built, tmp_path):
    path = tmp_path / "t.faiss"
    assert open_index(path, "of these rows", 5000) is None
    for content in (b"", b"short", bytes(1000)):
        path.write_bytes(content)
        assert open_index(path, "of these rows", 5000) is None
    save_index(path, built)
    assert open_index(path, "of other rows", 5000) is None
    path.write_bytes(path.read_bytes()[:-1])
    assert open_index(path, "of these rows", 5000) is None


def described(path, text):
    """The index with another description at its end."""
    content = path.read_bytes()
    start = content.rindex(b'{"fingerprint"')
    path.write_bytes(content[:start] + text + len(text).to_bytes(8, "little") + MAGIC)


DESCRIPTION = {"fingerprint": "of these rows", "recall": 99.0, "nprobe": 4}


@pytest.mark.parametrize(
    "text",
    [b"[]", b"null", b"[" * 3000, b"\xff", b"{}", *(
        json.dumps({k: v for k, v in (DESCRIPTION | forged).items() if v is not None}).encode()
        for forged in ({"nprobe": None}, {"nprobe": "4"}, {"nprobe": 0}, {"nprobe": 10**9},
                       {"nprobe": 10**30}, {"recall": None}, {"recall": "high"}, {"recall": -1},
                       {"fingerprint": 3}, {"fingerprint": None}, {"fingerprint": "x" * 9000})
    )],
)  # fmt: skip
def test_an_index_of_which_forged_things_are_told_is_built_anew(built, tmp_path, caplog, text):
    path = save_index(tmp_path / "t.faiss", built)
    described(path, json.dumps(DESCRIPTION).encode())
    assert open_index(path, "of these rows", 5000).index.nprobe == 4
    described(path, text)
    assert open_index(path, "of these rows", 5000) is None
    assert "cannot be read as an index" in caplog.text and "built again" in caplog.text


@pytest.mark.parametrize(
    "kind", ["another index", "junk", "cut", "other rows", "length", "pipe", "untrained"]
)
def test_an_index_of_another_body_is_built_anew(built, rows, tmp_path, caplog, kind):
    path = save_index(tmp_path / "t.faiss", built)
    content = path.read_bytes()
    end = content[content.rindex(b'{"fingerprint"') :]
    if kind == "another index":
        flat = faiss.IndexFlatIP(16)
        flat.add(rows)
        faiss.write_index(flat, str(path))
        content = path.read_bytes() + end
    elif kind == "untrained":
        untrained = faiss.clone_index(built.index)
        untrained.is_trained = False
        faiss.write_index(untrained, str(path))
        content = path.read_bytes() + end
    elif kind == "junk":
        content = content[:4] + bytes(range(256)) * 4 + end
    elif kind == "cut":
        content = content[: len(content) // 2] + end
    elif kind == "length":
        content = content[: -len(MAGIC) - 8] + b"\xff" * 8 + MAGIC
    path.unlink()
    os.mkfifo(path) if kind == "pipe" else path.write_bytes(content)
    assert open_index(path, "of these rows", 4999 if kind == "other rows" else 5000) is None
    assert "built again" in caplog.text


def test_a_row_that_an_index_names_and_that_is_none_is_not_given(built, rows, tmp_path):
    path = save_index(tmp_path / "t.faiss", built)
    content = bytearray(path.read_bytes())
    place = bytes(content).rindex((4321).to_bytes(8, "little"))  # of the row's number
    content[place : place + 8] = (2**40 + 7).to_bytes(8, "little")
    path.write_bytes(content)
    found, _ = open_index(path, "of these rows", 5000).search(rows[4321:4322], 10)
    assert found[0, 0] == -1 and 7 not in found and found.max() < 5000
