"""Tables read back as they were, are whole or not there, and refuse what does not fit."""

import importlib.util

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from and_tf.collection import table as embedding_table
from and_tf.collection.table import check_table_path, write_table
from and_tf.errors import MissingPackage, UserError
from and_tf.search.nearest import nearest_others


@pytest.fixture
def embeddings():
    return np.random.default_rng(0).normal(size=(31, 6)).astype("float32")


@pytest.fixture
def table(embeddings):
    paths = [f"a/bild {i} ü.jpg" for i in range(31)]
    indices, similarity = nearest_others(embeddings, 3)
    return {
        "paths": paths,
        "embeddings": embeddings,
        "neighbours": indices,
        "similarity": similarity,
        "clusters": np.arange(31) % 4,
    }


def test_parquet_reads_back_in_row_groups(tmp_path, table, monkeypatch):
    monkeypatch.setattr(embedding_table, "ROW_GROUP", 10)
    path = tmp_path / "new" / "features.parquet"
    write_table(path, **table)
    assert pq.ParquetFile(path).num_row_groups == 4
    found = pq.read_table(path)
    assert found.schema.names == ["path", "embedding", "neighbours", "similarity", "cluster"]
    assert found.schema.field("embedding").type == pa.list_(pa.float32(), 6)
    assert found.schema.field("neighbours").type.value_type == pa.string()
    assert found.schema.field("similarity").type.value_type == pa.float32()
    assert found.schema.field("cluster").type == pa.int32()
    rows = found.to_pydict()
    assert rows["path"] == table["paths"]
    np.testing.assert_array_equal(np.float32(rows["embedding"]), table["embeddings"])
    np.testing.assert_array_equal(np.float32(rows["similarity"]), table["similarity"])
    assert rows["neighbours"] == [[table["paths"][j] for j in row] for row in table["neighbours"]]
    assert rows["cluster"] == table["clusters"].tolist()


def test_npz_reads_back_without_pickles(tmp_path, table):
    path = tmp_path / "features.npz"
    write_table(str(path), **table)
    with np.load(path, allow_pickle=False) as found:
        assert set(found) == {"path", "embedding", "neighbours", "similarity", "cluster"}
        assert found["path"].tolist() == table["paths"]
        np.testing.assert_array_equal(found["embedding"], table["embeddings"])
        np.testing.assert_array_equal(found["neighbours"], table["neighbours"])
        np.testing.assert_array_equal(found["similarity"], table["similarity"])
        np.testing.assert_array_equal(found["cluster"], table["clusters"])


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_columns_that_are_not_given_are_left_out(tmp_path, embeddings, suffix):
    path = tmp_path / f"features.{suffix}"
    write_table(path, [str(i) for i in range(31)], embeddings)
    names = pq.read_schema(path).names if suffix == "parquet" else list(np.load(path))
    assert names == ["path", "embedding"]


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_a_file_name_that_is_not_utf8_does_not_lose_the_table(tmp_path, embeddings, suffix):
    path = tmp_path / f"features.{suffix}"
    write_table(path, [b"caf\xe9.jpg".decode("utf-8", "surrogateescape")], embeddings[:1])
    found = pq.read_table(path).to_pydict() if suffix == "parquet" else np.load(path)
    assert list(found["path"]) == ["caf?.jpg"]


@pytest.mark.parametrize("name", ["features.csv", "features", "features.parquet.gz"])
def test_other_suffixes_are_named(tmp_path, embeddings, name):
    with pytest.raises(UserError, match=name):
        write_table(tmp_path / name, ["a"] * 31, embeddings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_a_write_that_fails_keeps_the_old_table_and_leaves_no_litter(
    tmp_path, table, suffix, monkeypatch
):
    path = tmp_path / f"features.{suffix}"
    path.write_text("old")

    def fail(partial, names, columns):
        partial.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(embedding_table, f"_write_{suffix}", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(path, **table)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


@pytest.mark.parametrize("column", ["embeddings", "neighbours", "similarity", "clusters"])
def test_columns_of_another_length_are_refused(tmp_path, table, column):
    table[column] = table[column][:-1]
    with pytest.raises(UserError, match="each of the 31 paths"):
        write_table(tmp_path / "features.npz", **table)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="pip install pyarrow"):
        check_table_path(tmp_path / "features.parquet")
