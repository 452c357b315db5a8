"""Tables read back as they were, are whole or not there, and refuse what does not fit."""

import importlib.util
import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from and_tf.collection import table as embedding_table
from and_tf.collection.table import check_table_path, fingerprint, write_table
from and_tf.collection.table_reading import read_table
from and_tf.errors import BrokenFile, MissingPackage, NotFound, UserError
from and_tf.runs import archives
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
        "columns": {
            "neighbours": indices,
            "similarity": similarity,
            "cluster": np.arange(31) % 4,
            "sharpness": np.linspace(0, 1, 31),
            "is_blurred": np.arange(31) % 3 == 0,
            "file_size": np.arange(31) * 10**10,
            "suggested": ["ü", None] * 15 + ["z"],
            "reasons": [["dark", "tiny"][: i % 3] for i in range(31)],
            "scores": [[0.5] * (i % 4) for i in range(31)],
        },
        "metadata": {"model": "runs/é", "image_size": 32},
    }


OTHERS = ["sharpness", "is_blurred", "file_size", "suggested", "reasons", "scores"]


def test_parquet_reads_back_in_row_groups(tmp_path, table, monkeypatch):
    monkeypatch.setattr(embedding_table, "ROW_GROUP", 10)
    path = tmp_path / "new" / "features.parquet"
    write_table(path, **table)
    assert pq.ParquetFile(path).num_row_groups == 4
    found = pq.read_table(path)
    first = ["path", "embedding", "neighbours", "similarity", "cluster"]
    assert found.schema.names == first + OTHERS
    assert found.schema.field("embedding").type == pa.list_(pa.float32(), 6)
    assert found.schema.field("neighbours").type.value_type == pa.string()
    assert found.schema.field("similarity").type.value_type == pa.float32()
    assert found.schema.field("cluster").type == pa.int32()
    assert found.schema.field("is_blurred").type == pa.bool_()
    assert found.schema.field("reasons").type == pa.list_(pa.string())
    assert table["metadata"].items() <= json.loads(found.schema.metadata[b"and_tf"]).items()
    rows = found.to_pydict()
    columns = table["columns"]
    assert rows["path"] == table["paths"]
    np.testing.assert_array_equal(np.float32(rows["embedding"]), table["embeddings"])
    np.testing.assert_array_equal(np.float32(rows["similarity"]), columns["similarity"])
    assert rows["neighbours"] == [[table["paths"][j] for j in row] for row in columns["neighbours"]]
    assert rows["cluster"] == columns["cluster"].tolist()
    assert rows["suggested"] == ["ü", ""] * 15 + ["z"]
    assert rows["reasons"] == columns["reasons"] and rows["scores"] == columns["scores"]


def test_npz_reads_back_without_pickles(tmp_path, table):
    path = tmp_path / "features.npz"
    write_table(str(path), **table)
    columns = table["columns"]
    with np.load(path, allow_pickle=False) as found:
        offsets = {"reasons__offsets", "scores__offsets"}
        assert set(found) == {"path", "embedding", "metadata", *columns, *offsets}
        assert found["path"].tolist() == table["paths"]
        np.testing.assert_array_equal(found["embedding"], table["embeddings"])
        np.testing.assert_array_equal(found["neighbours"], columns["neighbours"])
        np.testing.assert_array_equal(found["similarity"], columns["similarity"])
        np.testing.assert_array_equal(found["cluster"], columns["cluster"])
        assert found["file_size"][30] == 30 * 10**10 and found["suggested"][1] == ""


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_columns_that_are_not_given_are_left_out(tmp_path, embeddings, suffix):
    path = tmp_path / f"features.{suffix}"
    write_table(path, [str(i) for i in range(31)], embeddings)
    names = pq.read_schema(path).names if suffix == "parquet" else list(np.load(path))
    assert names == ["path", "embedding", "metadata"][: len(names)]


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_what_was_written_is_read_again(tmp_path, table, suffix):
    path = tmp_path / f"features.{suffix}"
    write_table(path, **table)
    found = read_table(path, [*OTHERS, "absent"])
    assert found.paths == table["paths"]
    rows = fingerprint(table["embeddings"])
    assert found.metadata == table["metadata"] | {"rows": rows}
    np.testing.assert_array_equal(found.embeddings, table["embeddings"])
    assert list(found.columns) == OTHERS
    columns = table["columns"]
    np.testing.assert_array_equal(found.columns["sharpness"], np.float32(columns["sharpness"]))
    np.testing.assert_array_equal(found.columns["is_blurred"], columns["is_blurred"])
    np.testing.assert_array_equal(found.columns["file_size"], columns["file_size"])
    assert list(found.columns["suggested"]) == ["ü", ""] * 15 + ["z"]
    assert found.columns["reasons"] == columns["reasons"]
    assert found.columns["scores"] == columns["scores"]


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_a_table_is_read_without_its_embeddings(tmp_path, table, suffix):
    write_table(tmp_path / f"features.{suffix}", **table)
    found = read_table(tmp_path / f"features.{suffix}", ["sharpness"], with_embeddings=False)
    assert found.paths == table["paths"] and found.embeddings.shape == (31, 0)
    assert len(found.columns["sharpness"]) == 31


def test_tables_of_earlier_versions_are_read_and_do_not_say_what_made_them(tmp_path, embeddings):
    paths = [f"{i}.png" for i in range(31)]
    rows = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), 6)
    pq.write_table(pa.table({"path": paths, "embedding": rows}), tmp_path / "old.parquet")
    np.savez(tmp_path / "old.npz", path=np.array(paths), embedding=embeddings)
    for name in ("old.parquet", "old.npz"):
        found = read_table(tmp_path / name, ["file_size"])
        assert found.paths == paths and found.metadata == {} and found.columns == {}
        np.testing.assert_array_equal(found.embeddings, embeddings)


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_a_table_that_is_missing_or_corrupt_is_named(tmp_path, table, suffix):
    path = tmp_path / f"features.{suffix}"
    with pytest.raises(NotFound, match=r"features.* does not exist: embed the photos first"):
        read_table(path)
    write_table(path, **table)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BrokenFile, match=f"features.{suffix} cannot be read as a table"):
        read_table(path)


def test_a_parquet_file_of_another_program_is_refused(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "other.parquet")
    with pytest.raises(BrokenFile, match=r"other\.parquet cannot be read as a table"):
        read_table(tmp_path / "other.parquet")


@pytest.mark.parametrize("name", ["path", "embedding", "metadata"])
def test_a_column_with_a_name_that_is_taken_is_refused(tmp_path, embeddings, name):
    with pytest.raises(UserError, match=f"cannot be called {name}"):
        write_table(tmp_path / "a.npz", ["a"] * 31, embeddings, {name: np.zeros(31)})


@pytest.mark.parametrize("values", [np.zeros((31, 2, 2)), [[["a"]]] * 31, np.zeros(31, complex)])
def test_columns_of_other_kinds_are_refused(tmp_path, embeddings, values):
    with pytest.raises(UserError, match="for each of the 31 paths"):
        write_table(tmp_path / "a.npz", ["a"] * 31, embeddings, {"odd": values})


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

    def fail(partial, names, columns, metadata):
        partial.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(embedding_table, f"_write_{suffix}", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(path, **table)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


@pytest.mark.parametrize("column", ["neighbours", "cluster", "suggested", "reasons"])
def test_columns_of_another_length_are_refused(tmp_path, table, column):
    table["columns"][column] = table["columns"][column][:-1]
    with pytest.raises(UserError, match=f"{column} must .* each of the 31 paths"):
        write_table(tmp_path / "features.npz", **table)


def test_embeddings_of_another_length_are_refused(tmp_path, table):
    table["embeddings"] = table["embeddings"][:-1]
    with pytest.raises(UserError, match="each of the 31 paths"):
        write_table(tmp_path / "features.npz", **table)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="pip install pyarrow"):
        check_table_path(tmp_path / "features.parquet")


NAMES, ROWS = np.array(["a.jpg", "b.jpg"]), np.ones((2, 3), np.float32)
FORGED = {
    "flat embeddings": ({"embedding": ROWS[:, 0]}, "embedding holds float32 of shape (2,)"),
    "words": ({"embedding": np.full((2, 3), "x")}, "embedding holds <U1 of shape (2, 3)"),
    "complex numbers": ({"embedding": ROWS.astype("c8")}, "embedding holds complex64"),
    "too many rows": ({"embedding": np.ones((4, 3), "f4")}, "shape (4, 3) for 2 paths"),
    "too few rows": ({"embedding": ROWS[:1]}, "shape (1, 3) for 2 paths"),
    "numbers for paths": ({"path": np.arange(2)}, "path holds values that are not text"),
    "a table of paths": ({"path": NAMES[:, None]}, "path has the shape (2, 1)"),
    "one path": ({"path": np.array("a.jpg")}, "path has the shape ()"),
    "words for sizes": ({"file_size": NAMES}, "file_size holds <U5 of shape (2,)"),
    "other sizes": ({"file_size": np.ones(3, int)}, "file_size holds 3 values for 2 paths"),
    "sizes of pairs": (
        {"file_size": np.ones((2, 2), int)},
        "file_size holds int64 of shape (2, 2)",
    ),
    "no image": ({"path": NAMES[:0], "embedding": ROWS[:0]}, "it names no image"),
    "no numbers": ({"embedding": ROWS[:, :0]}, "embedding holds no numbers"),
    "a NaN": ({"embedding": ROWS * np.float32("nan")}, "embedding holds NaN or infinite"),
    "infinite": ({"embedding": ROWS / np.float32(0)}, "embedding holds NaN or infinite"),
    "one size": ({"file_size": np.array(3)}, "cannot be read as a table"),
    "lists": ({"reasons": NAMES, "reasons__offsets": NAMES}, "the ends of lists are <U5"),
}


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
@pytest.mark.parametrize("kind", FORGED)
def test_arrays_of_other_types_and_shapes_are_refused_in_a_line(tmp_path, kind, suffix):
    forged, words = FORGED[kind]
    arrays = {"path": NAMES, "embedding": ROWS} | forged
    path = tmp_path / f"forged.{suffix}"
    if suffix == "npz":
        np.savez(path, **arrays)
    else:
        try:
            pq.write_table(pa.table({n: pa.array(list(v)) for n, v in arrays.items()}), path)
        except (pa.ArrowException, TypeError):
            pytest.skip("Parquet holds no such thing")
        words = "cannot be read as a table of embeddings"
    with pytest.raises(BrokenFile) as caught:
        read_table(path, ["file_size", "reasons"])
    assert words in str(caught.value) and "embed the photos again" in str(caught.value)


def test_a_table_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives.check_unpacked_size, "__defaults__", (1 << 20,))
    monkeypatch.setattr(archives.check_arrays, "__defaults__", (1 << 20,))
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, path=NAMES, embedding=np.zeros((2, 1 << 20), np.float32))
    with pytest.raises(BrokenFile, match="it unpacks to"):
        read_table(path)


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path):
    file = io.BytesIO()
    np.save(file, np.ones((2, 3), np.float32))
    content = file.getvalue().replace(b"3), }" + b" " * 11, b"300000000000), }")
    path = tmp_path / "claims.npz"
    np.savez(path, path=NAMES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("embedding.npy", content)
    with pytest.raises(BrokenFile, match=r"embedding claims 2,400\.0 GB"):
        read_table(path)
