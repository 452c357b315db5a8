import builtins

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from and_tf.collection import table as embedding_table
from and_tf.collection.table import near_duplicates, nearest, write_table


@pytest.fixture
def embeddings():
    return np.random.default_rng(0).normal(size=(31, 6)).astype("float32")


def test_nearest_matches_a_loop_and_leaves_the_image_out(embeddings):
    indices, similarity = nearest(embeddings, neighbours=4)
    assert indices.dtype == np.int32 and similarity.dtype == np.float32
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for i in range(len(unit)):
        cosines = unit @ unit[i]
        cosines[i] = -np.inf
        expected = np.argsort(-cosines)[:4]
        np.testing.assert_array_equal(indices[i], expected)
        np.testing.assert_allclose(similarity[i], cosines[expected], atol=1e-6)


def test_an_image_among_exact_copies_is_not_its_own_neighbour(embeddings):
    copies = np.repeat(np.eye(3, dtype="float32"), 5, axis=0)  # 5 copies of 3 images
    indices, similarity = nearest(copies, neighbours=2)
    assert not (indices == np.arange(15)[:, None]).any()
    np.testing.assert_array_equal(indices // 5, np.arange(15)[:, None] // 5 * [1, 1])
    np.testing.assert_array_equal(similarity, np.ones((15, 2)))
    indices, _ = nearest(copies, neighbours=14)
    for i, row in enumerate(indices):
        assert sorted(row) == [j for j in range(15) if j != i]


def test_near_duplicates_come_once_and_by_similarity(embeddings):
    indices, similarity = nearest(embeddings, neighbours=30)
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


@pytest.mark.parametrize("count", [0, 31, 40])
def test_as_many_neighbours_as_images_are_refused(embeddings, count):
    with pytest.raises(ValueError, match=rf"neighbours={count} for 31 images"):
        nearest(embeddings, count)


@pytest.fixture
def table(embeddings):
    paths = [f"a/bild {i} ü.jpg" for i in range(31)]
    indices, similarity = nearest(embeddings, neighbours=3)
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
    with pytest.raises(ValueError, match=name):
        write_table(tmp_path / name, ["a"] * 31, embeddings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_a_write_that_fails_keeps_the_old_table_and_leaves_no_litter(
    tmp_path, table, suffix, monkeypatch
):
    path = tmp_path / f"features.{suffix}"
    path.write_text("old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(embedding_table.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(path, **table)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


@pytest.mark.parametrize("column", ["embeddings", "neighbours", "similarity", "clusters"])
def test_columns_of_another_length_are_refused(tmp_path, table, column):
    table[column] = table[column][:-1]
    with pytest.raises(ValueError, match="each of the 31 paths"):
        write_table(tmp_path / "features.npz", **table)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def without_pyarrow(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        embedding_table.check_table_path(tmp_path / "features.parquet")
