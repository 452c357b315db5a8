"""Lists of images: what is on a line, in every form that people have."""

import numpy as np
import pytest
from helpers.pictures import error_of, pixels, write_images
from PIL import Image

from and_tf.data.decode import square
from and_tf.data.settings import DataSettings
from and_tf.data.sources.opening import (
    absolute_spec,
    available_splits,
    open_source,
    open_train_and_held_out,
)

NAMES = ["a/1.png", "b/two words.png", "c.png"]
CSV = b"a/1.png,dog\nb/two words.png,cat\nc.png,\n"


@pytest.fixture
def photos(tmp_path):
    """A folder with three images, and their pixels."""
    images = write_images(tmp_path, NAMES)
    return tmp_path, np.stack([images[name] for name in NAMES])


def opened(folder, content, name="list.csv", **options):
    (folder / name).write_bytes(content)
    return open_source(f"list:{folder / name}", **options)


@pytest.mark.parametrize(
    "name, content",
    [
        ("list.csv", CSV),
        ("LIST.CSV", b"Path,Label\n" + CSV),
        ("list.csv", b"label;note;file_name\ndog;x;a/1.png\ncat;;b/two words.png\n;;c.png\n"),
        ("list.csv", b'\xef\xbb\xbf"image","class"\r\n\r\n"a/1.png","dog"\r\n'
                     b'"b/two words.png","cat"\r\n"c.png",\r\n'),
        ("list.csv", "path;label\na/1.png;dog\nb/two words.png;cat\nc.png;".encode("utf-16")),
        ("list.tsv", b"filename\tcategory\na/1.png\tdog\nb/two words.png\tcat\nc.png\n"),
        ("list.txt", b"# pets\na/1.png dog\n\nb/two words.png cat\r\n  c.png\n"),
        ("list.txt", b"a/1.png\tdog\nb/two words.png\tcat\nc.png\t\n"),
        ("list", b"./a/1.png, dog\nb//two words.png,cat\nc.png\n"),
        ("list.txt", b"# pets\nlabel,path\ndog,a/1.png\ncat,b/two words.png\n-1,c.png\n"),
    ],
)  # fmt: skip
def test_each_form_gives_the_same_images_and_labels(photos, name, content):
    folder, images = photos
    source = opened(folder, content, name)
    assert source.names == NAMES and source.class_names == ["cat", "dog"]
    assert source.labels.tolist() == [1, 0, -1] and source.labels.dtype == np.int32
    np.testing.assert_array_equal(source.load([2, 0, 1], 8), images[[2, 0, 1]])
    assert source.fingerprint == opened(folder, CSV, "same.csv").fingerprint
    assert opened(folder, content, name, labels="none").labels is None


def test_cells_that_were_marked_for_spreadsheets_name_the_file(tmp_path):
    names = ["=1+1.png", "a;@x.png"]
    write_images(tmp_path, names)
    source = opened(tmp_path, b"image,label\n'=1+1.png,'-x\na;'@x.png,cat\n")
    assert source.names == names and source.class_names == ["-x", "cat"]


@pytest.mark.parametrize("labels", [[3, None, 10], ["3", "", "10"], [3.0, float("nan"), 10.0]])
def test_parquet_files_have_cells_of_any_type(photos, labels):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, _ = photos
    columns = {"width": [8, 8, 8], "image": NAMES, "label": labels}
    pq.write_table(pa.table(columns), folder / "l.parquet")
    source = open_source(f"list:{folder}/l.parquet")
    assert source.names == NAMES and source.class_names == ["3", "10"]  # by value
    assert source.labels.tolist() == [0, -1, 1]
    pq.write_table(pa.table({"name": NAMES}), folder / "l.parquet")
    assert "columns name" in error_of(open_source, f"list:{folder}/l.parquet")


def test_paths_alone_have_no_labels_and_may_be_absolute(photos):
    folder, images = photos
    other = folder / "lists"
    other.mkdir()
    lines = f"{folder}/c.png\n../a/1.png\n"
    source = opened(other, lines.encode(), "list.txt")
    assert source.labels is None and source.class_names is None
    np.testing.assert_array_equal(source.load([0, 1], 8), images[[2, 0]])
    assert opened(folder, b"path,label\nc.png,\n").labels is None


def test_a_column_of_splits_gives_the_splits(photos, tmp_path):
    folder, _ = photos
    text = b"path,split,label\na/1.png,Train,7\nc.png,VAL,7\nb/two words.png,training,11\n"
    source = opened(folder, text)
    spec = f"list:{folder}/list.csv"
    assert available_splits(spec) == ["train", "validation"]
    assert source.names == NAMES[:2] and source.class_names == ["7", "11"]
    train, held_out = open_train_and_held_out(DataSettings(spec))
    assert train.names == NAMES[:2] and held_out.names == ["c.png"]
    assert held_out.labels.tolist() == [0] and held_out.class_names == ["7", "11"]
    assert len(open_source(spec, "train[1:]+validation")) == 2
    assert "'maybe' in line 2" in error_of(opened, folder, b"path,split\nc.png,maybe\n")
    unknown = text.replace(b"VAL,7", b"VAL,8")
    opened(folder, unknown)
    assert "holds the class '8'" in error_of(open_source, spec, "val")


def test_held_out_labels_mean_those_of_the_folder_that_is_trained_on(photos):
    folder, _ = photos
    write_images(folder / "train", ["ant/1.png", "cat/1.png", "dog/1.png"])
    (folder / "list.csv").write_bytes(CSV)
    data = DataSettings(f"folder:{folder}/train", eval_data=f"list:{folder}/list.csv")
    _, held_out = open_train_and_held_out(data)
    assert held_out.labels.tolist() == [2, 1, -1] and held_out.class_names == ["ant", "cat", "dog"]


def test_missing_and_broken_images_are_counted_and_named_by_their_line(photos):
    folder, _ = photos
    (folder / "bad.png").write_bytes(b"no image")
    text = b"path,label\nc.png,x\ngone.png,y\n\nbad.png,y\na/1.png,y\n"
    message = error_of(opened, folder, text)
    assert message.startswith(f"2 broken image(s), the first: {folder}/gone.png (line 3: No such")
    source = opened(folder, text, skip_broken=True)
    assert source.names == ["c.png", "a/1.png"] and source.labels.tolist() == [0, 1]
    assert [name for name, _ in source.broken] == ["gone.png", "bad.png"]
    assert "line 5: " in source.broken[1][1]
    message = error_of(opened, folder, b"Datei,Klasse\nx/c.png,x\n")
    assert f"{folder}/Datei: paths are relative" in message and "file" in message


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "names no image"),
        (b"path,label\n\n", "names no image"),
        (b"c.png,x\na/1.png,y\n./c.png,z\na/1.png,y\n", "names 2 image(s) more than once"),
        (b"c.png,x\na/1.png,y\n./c.png,z\n", "c.png in lines 1 and 3"),
        (b"path,label\nc.png,x\n,y\n", "no path in 1 line(s), the first: line 3"),
        (b"c.png,x,3\n", "3 cells in line 1 (c.png, x, 3)"),
        (b"path,label\nc.png,x,3\n", "quote what holds a delimiter"),
        (b'path,label\nc.png,"x\n', "not valid CSV in line 2 (unexpected end of data): close"),
        (b'path,label\n"c.png,x\na/1.png,y\n', "not valid CSV in line 2"),
        (b'path,label\nc.png,x\n"a/1"2.png,y\n', "not valid CSV in line 3"),
        (b"caf\xe9.png,x\n", "UTF-8"),
    ],
)
def test_lists_that_mean_nothing_are_refused(photos, content, words):
    folder, _ = photos
    message = error_of(opened, folder, content)
    assert words in message and f"list:{folder}/list.csv" in message


def test_a_list_that_is_none_is_refused(photos):
    folder, _ = photos
    assert "does not exist" in error_of(open_source, f"list:{folder}/gone.csv")
    assert "is a folder" in error_of(open_source, f"list:{folder}/a")
    (folder / "l.parquet").write_bytes(b"PAR1")
    assert "Cannot read" in error_of(open_source, f"list:{folder}/l.parquet")


def test_a_list_is_read_again_once_it_is_edited(photos):
    folder, _ = photos
    assert len(opened(folder, CSV)) == 3
    assert len(opened(folder, CSV + b"d.png,dog\n", skip_broken=True)) == 3
    write_images(folder, ["d.png"], seed=5)
    source = opened(folder, CSV + b"d.png,dog\n")
    np.testing.assert_array_equal(source.load([3], 8), pixels(1, seed=5))


def test_a_list_has_an_absolute_spec(photos, monkeypatch):
    folder, _ = photos
    monkeypatch.chdir(folder)
    assert absolute_spec("list:list.csv") == f"list:{folder}/list.csv"


def test_boxes_are_columns_in_pixels(photos):
    folder, images = photos
    cropped = Image.fromarray(images[2]).crop((2, 0, 8, 3))
    rows = b"xmin,ymin,xmax,ymax,path\n2,0,8,3,c.png\n0,1.2,5,8,a/1.png\n"
    source = opened(folder, rows, crop_to_box=True)
    whole = opened(folder, rows)
    assert source.fingerprint != whole.fingerprint and source.names == whole.names
    assert source.image_shapes.tolist() == [[3, 6], [7, 5]]
    np.testing.assert_array_equal(source.load([0], 3)[0], square(cropped, 3))
    for text, words in [
        (b"xmin,ymin,xmax,path\n2,0,8,c.png\n", "no column ymax"),
        (b"xmin,ymin,xmax,ymax,path\n2,0,8,9,c.png\n", "2, 0, 8, 9 in line 2"),
        (b"xmin,ymin,xmax,ymax,path\n2,,8,8,c.png\n", "8 x 8 pixels"),
    ]:
        assert words in error_of(opened, folder, text, crop_to_box=True)
    assert "'folder:" in error_of(open_source, f"folder:{folder}", crop_to_box=True)
