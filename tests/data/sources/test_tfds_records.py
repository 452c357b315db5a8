"""Images of TFDS sets stay in their files, whatever these are, and damage is found."""

import pathlib
import shutil
import zlib

import numpy as np
import pytest
from helpers.pictures import error_of, pixels

from and_tf.data.manifest import manifest
from and_tf.data.sources import record_index, tfds
from and_tf.data.sources.array_record_files import is_array_record, read_records, write_records
from and_tf.data.sources.items import ArrayRecords, FileParts
from and_tf.data.sources.opening import open_source
from and_tf.data.sources.tfds_prepare import tfds_builder
from and_tf.data.sources.tfds_records import SplitRecords, read_split
from and_tf.errors import NoBoxes

SPEC = "tfds:tiny_marks"


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def prepared(request, tmp_path_factory):
    """A set of 3 files, of which images have from none to three marks."""
    import tensorflow_datasets as tfds

    class TinyMarks(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(8, 8, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=["cold", "warm"]),
                "marks": tfds.features.Sequence({"weight": np.float32}),
                "large": tfds.features.Tensor(shape=(100,), dtype=np.float32),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for row, image in enumerate(pixels(20)):
                marks = [{"weight": row + 0.5} for _ in range(row % 4)]
                large = np.zeros(100, np.float32)
                yield row, {"image": image, "label": row % 2, "marks": marks, "large": large}

    data_dir = tmp_path_factory.mktemp("tfds")
    builder = TinyMarks(data_dir=data_dir, file_format=request.param)
    config = tfds.download.DownloadConfig(num_shards=3)
    builder.download_and_prepare(download_config=config)
    return data_dir


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_images_stay_in_their_files_in_the_stored_order(prepared):
    source = open_source(SPEC, data_dir=prepared)
    assert isinstance(source.items, FileParts | ArrayRecords) and len(source.items.paths) == 3
    np.testing.assert_array_equal(source.load(np.arange(20), 8), pixels(20))
    assert source.labels.tolist() == [0, 1] * 10
    assert source.sizes.tolist() == [len(item) for item in source.items]
    assert source.image_shapes.tolist() == [[8, 8]] * 20
    assert manifest(source).checksums.tolist() == [zlib.crc32(item) for item in source.items]
    part = open_source(SPEC, "train[3:9]+train[:2]", data_dir=prepared)
    np.testing.assert_array_equal(part.load(np.arange(8), 8), pixels(20)[[3, 4, 5, 6, 7, 8, 0, 1]])
    joined = part.join(source.take([19, 0]))
    np.testing.assert_array_equal(joined.load([8, 9], 8), pixels(20)[[19, 0]])
    assert source.items[-1] == source.items[19] and source.items[2:4] == source.items[:4][2:]


def test_a_set_is_read_through_once(prepared, monkeypatch):
    first = open_source(SPEC, data_dir=prepared)
    monkeypatch.setattr(record_index, "_records", None)
    again = open_source(SPEC, data_dir=prepared)
    assert again.fingerprint == first.fingerprint and again.items == first.items


def test_a_part_reads_the_files_that_it_needs(prepared, monkeypatch):
    read = []
    plain = record_index._records
    monkeypatch.setattr(record_index, "_records", lambda path: (read.append(path), plain(path))[1])
    assert len(open_source(SPEC, "train[-2:]", data_dir=prepared)) == 2
    assert [pathlib.Path(path).name[-14:] for path in read] == ["00002-of-00003"]


def test_numbers_of_any_feature_are_given_by_its_name(prepared):
    info = tfds_builder("tiny_marks", prepared).info
    found = read_split(info, "train[2:7]", SPEC, "image")
    weights = [values.tolist() for values in found.values_of("marks/weight")]
    assert weights == [[2.5] * 2, [3.5] * 3, [], [5.5], [6.5] * 2]
    assert found.single("label").tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(KeyError):
        found.values_of("large")  # data of its own


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_damaged_file_is_named(prepared, tmp_path, when):
    shutil.copytree(prepared / "tiny_marks", tmp_path / "tiny_marks")
    path = next(tmp_path.rglob("*00001-of-00003"))
    if when == "after":
        source = open_source(SPEC, data_dir=tmp_path)
        row = int(np.flatnonzero(source.items.files == 1)[0])
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 9] ^= 1
    path.write_bytes(content)
    if when == "after":
        assert f"{path} is corrupt" in error_of(source.load, [row], 8)
    message = error_of(open_source, SPEC, data_dir=tmp_path)
    assert f"{path} is corrupt" in message


def test_a_file_that_holds_too_little_is_named(prepared, tmp_path):
    shutil.copytree(prepared / "tiny_marks", tmp_path / "tiny_marks")
    path = next(tmp_path.rglob("*00001-of-00003"))
    if is_array_record(str(path)):
        write_records(path, read_records(str(path), [0]))
    else:
        content = path.read_bytes()
        path.write_bytes(content[: int.from_bytes(content[:8], "little") + 16])
    message = error_of(open_source, SPEC, data_dir=tmp_path)
    assert f"{path} holds 1 records" in message
    path.unlink()
    message = error_of(open_source, SPEC, data_dir=tmp_path)
    assert "Cannot read" in message and str(path) in message


def test_bugs_keep_their_traceback(prepared, monkeypatch):
    monkeypatch.setattr(tfds, "read_split", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_source(SPEC, data_dir=prepared)


def test_images_without_any_box_are_not_cropped():
    columns = np.zeros(3, np.int64), np.zeros(3, np.uint32), np.zeros((3, 2), np.int32)
    index = record_index.RecordIndex(np.arange(3), *columns, numbers={}, counts={})
    found = SplitRecords([], *columns, [(index, np.arange(3))])
    with pytest.raises(NoBoxes, match="hold none as objects/bbox"):
        tfds._boxes(found, "objects/bbox", "dogs")
