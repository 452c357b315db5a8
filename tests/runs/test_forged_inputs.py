"""What programs read besides runs, forged: tables, indices, logs of moves, packs and lists.

In the way of `test_forged_folders.py`: refused in a line, or read, and nothing else.
"""

import json
import os
import shutil

import numpy as np
import pytest
from helpers.forgery import TRIED, cases, check_both_ends, tried
from helpers.pictures import write_images
from hypothesis import given
from hypothesis import strategies as st

from and_tf.collection import update
from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.moving import undo_moves
from and_tf.collection.files import FILE_COLUMNS, file_columns, files_of
from and_tf.collection.kept_pictures import read_kept, write_kept
from and_tf.collection.origin import Origin, encoded, reference_embeddings
from and_tf.collection.pictures import read_pictures
from and_tf.collection.search import _results, _search
from and_tf.collection.search_page import write_search_page
from and_tf.collection.search_queries import Queries
from and_tf.collection.table import write_table
from and_tf.collection.table_reading import read_table
from and_tf.data.pack import pack
from and_tf.data.pack_settings import PackSettings
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.opening import available_splits, open_source
from and_tf.search.saved_index import MAGIC, build_index, open_index, save_index
from benchmarks.forging import TEXTS, forged, forged_arrays, spoiled

COUNT, DIM = 8, 4


class Encoder:
    """Gives the mean colours of the quarters of an image."""

    image_size, embedding_dim = 8, DIM

    def __call__(self, images):
        return images.reshape(len(images), 2, 4, 2, 4, 3).mean(axis=(2, 4, 5)).reshape(-1, DIM)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eight small photos as a source."""
    folder = tmp_path_factory.mktemp("forged") / "photos"
    write_images(folder, [f"{'ab'[row % 2]}/{row}.png" for row in range(COUNT)], side=8)
    return open_folder(folder)


@pytest.fixture(autouse=True, scope="module")
def _quick():
    """No disk is waited for, and no encoder is needed."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda descriptor: None)
    patch.setattr(
        update, "embed_source", lambda encoder, source, size: np.ones((len(source), DIM), "f4")
    )
    yield
    patch.undo()


@pytest.fixture(scope="module")
def origin():
    reference = encoded(reference_embeddings(Encoder()))
    return Origin("/photos", "/model", "last", "", 8, 4, reference)


@pytest.fixture(scope="module")
def table(photos, origin, tmp_path_factory):
    """A valid table as arrays."""
    path = tmp_path_factory.mktemp("table") / "table.npz"
    rows = np.random.default_rng(0).normal(size=(COUNT, DIM)).astype("f4")
    columns = file_columns(files_of(photos))
    write_table(path, photos.names, rows, columns, metadata=origin.metadata())
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def write_forged(path, arrays, text):
    """A table of any arrays and metadata; one that Parquet does not hold stays what it was."""
    if path.suffix == ".npz":
        np.savez(path, **arrays, metadata=np.array(text.decode("latin-1")))
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {}
    for name, values in arrays.items():
        try:
            columns[name] = pa.array(values.tolist() if values.ndim != 1 else values)
            if name == "embedding" and values.ndim == 2:
                columns[name] = pa.FixedSizeListArray.from_arrays(
                    pa.array(values.ravel()), values.shape[1]
                )
        except (pa.ArrowException, TypeError, ValueError):
            continue
    length = max(map(len, columns.values()), default=0)
    columns = {name: values for name, values in columns.items() if len(values) == length}
    pq.write_table(pa.table(columns).replace_schema_metadata({"and_tf": text}), path)


@cases(15)
@given(data=st.data(), suffix=st.sampled_from(["npz", "parquet"]))
def test_tables(photos, origin, table, tmp_path, data, suffix):
    count = data.draw(st.sampled_from([COUNT] * 9 + [0]))
    arrays = {name: values[:count] for name, values in table.items() if name != "metadata"}
    text = str(table["metadata"]).encode()
    if data.draw(st.booleans()):
        arrays = data.draw(forged_arrays(arrays, [(COUNT, 3), (COUNT, 0)]))
    else:
        text = data.draw(forged(json.loads(text)))
    path = tmp_path / f"table.{suffix}"
    write_forged(path, arrays, text)
    path.write_bytes(data.draw(spoiled(path.read_bytes())))

    def read():
        found = read_table(path, FILE_COLUMNS, argument="output")
        update.recorded_origin(path)
        queries = Queries(["q"], [None], np.ones((1, found.embeddings.shape[1]), "f4"), [-1])
        nearest = _search(found, None, queries, 3)
        results = _results(found, queries, *nearest, 3)
        write_search_page(tmp_path / "page.html", results, "t", "s")
        rows, _ = update.updated_embeddings(path, Encoder(), origin, photos, files_of(photos))
        assert rows.shape == (COUNT, DIM) and np.isfinite(rows).all()

    tried("tables", read)
    path.unlink()


@pytest.fixture(scope="module")
def kept(photos, tmp_path_factory):
    """What was measured of the photos, as arrays."""
    path = tmp_path_factory.mktemp("kept") / "table.pictures.npz"
    collection = Collection(photos, np.ones((COUNT, DIM), "f4"), None, None, files=files_of(photos))
    write_kept(path, collection, read_pictures(photos), [b"jpeg"] * COUNT)
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


@cases(5)
@given(data=st.data())
def test_what_was_measured_of_photos(photos, kept, tmp_path, data):
    path, files = tmp_path / "table.pictures.npz", files_of(photos)
    with open(path, "wb") as file:
        np.savez(file, **data.draw(forged_arrays(kept)))
    found = read_kept(path, photos.names, files)
    TRIED[f"kept, {'refused' if found is None else 'read'}"] += 1
    if found is not None:
        found.thumbnails()
        for name, values in found.pictures._asdict().items():
            assert values.dtype.kind == kept.get(name, values).dtype.kind
            assert values.shape == kept.get(name, values).shape


INDEX = {"fingerprint": "of these rows", "recall": 99.0, "nprobe": 1}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The bytes of an index without its description."""
    pytest.importorskip("faiss")
    rows = np.random.default_rng(0).normal(size=(80, DIM)).astype("f4")
    path = save_index(tmp_path_factory.mktemp("index") / "t.faiss", build_index(rows, "x"))
    content = path.read_bytes()
    return content[: content.rindex(b'{"fingerprint"')]


@cases(6)
@given(data=st.data(), text=forged(INDEX))
def test_indices(index, tmp_path, data, text):
    path = tmp_path / "t.faiss"
    content = index + text + len(text).to_bytes(8, "little") + MAGIC
    path.write_bytes(data.draw(spoiled(content, start=len(index))))
    found = open_index(path, "of these rows", 80)
    TRIED[f"indices, {'refused' if found is None else 'read'}"] += 1
    if found is not None:
        rows, _ = found.search(np.ones((2, DIM), "f4"), 5)
        assert rows.shape == (2, 5) and rows.max() < 80


@st.composite
def forged_logs(draw, folder):
    """A log of moves of which cells, lines or bytes were changed."""
    images, target = folder / "photos", folder / "moved"
    cells = [f"{place}/{name}" for place in (images, target) for name in ("a/1.jpg", "2.png")]
    others = [*cells, "/etc/passwd", f"{target}/../x.jpg", "a.jpg", "/", "\0", "=1", "a,b", '"']
    lines = [["from", "to"], [cells[0], cells[2]], [cells[1], cells[3]]]
    for _ in range(draw(st.integers(0, 2))):
        line = draw(st.sampled_from(lines))
        kind = draw(st.integers(0, 3))
        if kind < 2:
            line[draw(st.integers(0, 1)) % len(line)] = draw(st.sampled_from(others) | TEXTS)
        elif kind == 2:
            line.append(draw(st.sampled_from(others)))
        else:
            lines.insert(draw(st.integers(0, len(lines))), list(line))
    text = "\n".join(map(",".join, lines)) + "\n"
    return draw(spoiled(text.encode(errors="surrogateescape")))


@cases(6)
@given(data=st.data())
def test_logs_of_moves(tmp_path, data):
    moved, precious = tmp_path / "moved", tmp_path / "precious"
    for folder in (moved, tmp_path / "photos"):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "a").mkdir(parents=True)
    (moved / "2.png").write_text("2")
    precious.write_text("precious")
    log = moved / "moves-1.csv"
    log.write_bytes(data.draw(forged_logs(tmp_path)))
    before = sorted(os.listdir(tmp_path))

    def read():
        undo_moves(log, dry_run=True)
        undo_moves(log)

    tried("logs", read)
    assert sorted(os.listdir(tmp_path)) == before and precious.read_text() == "precious"


@pytest.fixture(scope="module")
def packed(photos, tmp_path_factory):
    """A packed folder, its plan, and the index of its only file of images."""
    pytest.importorskip("array_record")
    folder = tmp_path_factory.mktemp("packed") / "pack"
    pack(PackSettings(data=str(next(iter(photos.items))).rsplit("/", 2)[0], output=str(folder)))
    (path,) = folder.glob("*.npz")
    with np.load(path) as arrays:
        index = {name: arrays[name] for name in arrays.files}
    return folder, json.loads((folder / "records.json").read_text()), path, index


@cases(10)
@given(data=st.data())
def test_packs(packed, data):
    folder, plan, path, index = packed
    (split,) = plan["splits"].values()
    arrays, text = index, data.draw(forged(split))
    if data.draw(st.booleans()):
        arrays, text = data.draw(forged_arrays(index)), json.dumps(split).encode()
    whole = json.dumps(plan).replace(json.dumps(split), "SPLIT").encode()
    (folder / "records.json").write_bytes(whole.replace(b"SPLIT", text))
    np.savez(path, **arrays)

    def read():
        for name in available_splits(f"records:{folder}"):
            source = open_source(f"records:{folder}", name)
            assert source.load([0], 8).shape == (1, 8, 8, 3)
            assert len(source.image_shapes) == len(source) and source.fingerprint
            assert source.labels is None or source.labels.shape == (len(source),)

    tried("packs", read)
    (folder / "records.json").write_text(json.dumps(plan))
    np.savez(path, **index)


CELLS = ["a/0.png", "b/1.png", "path", "label", "split", "train", "test", "-1", "0", "3", ""]
ODD = ["../x.png", "~nobody/x", "pipe", "loop", "/dev/zero", "a", "\0", "x" * 300, "\udce9", '"']
NUMBERS = ["xmin", "nan", "1e400", "0.5", "-3"]


@st.composite
def forged_lists(draw):
    """A list of images of which cells, lines or bytes were changed."""
    lines = [["path", "label", "split"], ["a/0.png", "x", "train"], ["b/1.png", "y", "test"]]
    if draw(st.booleans()):
        lines = [["path", "xmin", "ymin", "xmax", "ymax"], ["a/0.png", "0", "0", "8", "8"]]
    for _ in range(draw(st.integers(0, 3))):
        line = draw(st.sampled_from(lines))
        place = draw(st.integers(0, len(line) - 1))
        line[place] = draw(st.sampled_from([*CELLS, *ODD, *NUMBERS]) | TEXTS)
        if not draw(st.integers(0, 3)):
            lines.insert(draw(st.integers(0, len(lines))), list(line))
    text = "\n".join(map(",".join, lines)) + "\n"
    return draw(spoiled(text.encode(errors="surrogateescape")))


@cases(8)
@given(
    content=forged_lists(),
    suffix=st.sampled_from(["csv", "csv", "txt", "tsv", "parquet"]),
    option=st.sampled_from(["labels", "skip_broken", "crop_to_box"]),
)
def test_lists(photos, tmp_path_factory, content, suffix, option):
    folder = tmp_path_factory.getbasetemp() / "lists"
    if not folder.exists():
        shutil.copytree(str(next(iter(photos.items))).rsplit("/", 2)[0], folder)
        os.mkfifo(folder / "pipe")
        (folder / "loop").symlink_to("loop")
    path = folder / f"list.{suffix}"
    path.write_bytes(content)

    def read():
        for name in available_splits(f"list:{path}"):
            more = {option: "folders" if option == "labels" else True}
            source = open_source(f"list:{path}", name, **more)
            assert source.load([0], 8).shape == (1, 8, 8, 3)

    tried("lists", read)


def test_the_cases_are_both_refused_and_read():
    check_both_ends(["tables", "kept", "indices", "logs", "packs", "lists"])
