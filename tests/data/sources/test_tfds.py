"""TFDS: a stable order, one clear error, no network for what is prepared."""

import json
import shutil
import socket

import numpy as np
import pytest
from helpers.pictures import error_of, pixels

from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.opening import available_splits, open_source


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data set of 3 files in the form of TFDS, as `tfds build` leaves it."""
    import tensorflow_datasets as tfds

    class TinyColours(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.3")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "id": tfds.features.Text(),
                        "image": tfds.features.Image(shape=(8, 8, 3), encoding_format="png"),
                        "label": tfds.features.ClassLabel(names=["cold", "warm"]),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(20, 0), "test": self._generate_examples(5, 1)}

        def _generate_examples(self, count, seed):
            for row, image in enumerate(pixels(count, seed=seed)):
                yield row, {"id": str(row), "image": image, "label": row % 2}

    data_dir = tmp_path_factory.mktemp("tfds")
    config = tfds.download.DownloadConfig(num_shards=3)
    TinyColours(data_dir=data_dir).download_and_prepare(download_config=config)
    return data_dir


def test_tfds_sets_are_read_in_a_stable_order(prepared):
    spec = "tfds:tiny_colours"
    source = open_source(spec, data_dir=prepared)
    assert isinstance(source, EncodedSource) and len(source) == 20
    assert source.class_names == ["cold", "warm"] and source.labels.dtype == np.int32
    images = source.load(np.arange(20), 8)
    written = {image.tobytes(): row % 2 for row, image in enumerate(pixels(20))}
    assert [written[image.tobytes()] for image in images] == source.labels.tolist()
    assert len(np.unique(images, axis=0)) == 20
    again = open_source(spec, data_dir=prepared)
    assert again.items == source.items and again.fingerprint == source.fingerprint
    part = open_source(spec, "train[5:9]+train[-2:]", data_dir=prepared)
    assert part.items == source.take([5, 6, 7, 8, 18, 19]).items
    assert part.fingerprint != source.fingerprint
    assert available_splits(spec, data_dir=prepared) == ["train", "test"]
    for split in ("validation", "train[30:]", "train[", "train[4:4]"):
        message = error_of(open_source, spec, split, data_dir=prepared)
        assert repr(split) in message and "Available: train, test" in message


def test_tfds_failures_are_one_clear_error(prepared, monkeypatch, caplog):
    import tensorflow_datasets as tfds

    message = error_of(open_source, "tfds:tiny_colour", data_dir=prepared)
    assert "'tfds:tiny_colour'" in message and "tiny_colours" in message

    def offline(*args, **kwargs):
        raise ConnectionError("no route to host\nand more lines")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    empty = prepared / "elsewhere"
    with caplog.at_level("INFO", "and_tf"):
        message = error_of(open_source, "tfds:mnist", data_dir=empty)
    assert "tfds:mnist" in message and str(empty) in message and "no route to host" in message
    assert [record.message.count("downloading") for record in caplog.records] == [1]


def test_damaged_tfds_files_are_refused(prepared, tmp_path):
    shutil.copytree(prepared / "tiny_colours", tmp_path / "tiny_colours")
    for file in tmp_path.rglob("*train.tfrecord*"):
        file.write_bytes(file.read_bytes()[:-40])
    message = error_of(open_source, "tfds:tiny_colours", data_dir=tmp_path)
    assert str(file.parent) in message and "write or copy the file again" in message


def test_tfds_sets_without_images_are_refused(prepared, tmp_path):
    shutil.copytree(prepared / "tiny_colours", tmp_path / "tiny_colours")
    file = next(tmp_path.rglob("features.json"))
    features = json.loads(file.read_text())
    del features["featuresDict"]["features"]["image"]
    file.write_text(json.dumps(features))
    info = next(tmp_path.rglob("dataset_info.json"))
    described = json.loads(info.read_text())
    described.pop("supervisedKeys", None)
    described["name"] = "tiny_texts"
    info.write_text(json.dumps(described))
    (tmp_path / "tiny_colours").rename(tmp_path / "tiny_texts")
    assert "holds no image" in error_of(open_source, "tfds:tiny_texts", data_dir=tmp_path)


def test_parts_that_hold_all_classes(prepared):
    spec = "tfds:tiny_colours"
    whole = open_source(spec, data_dir=prepared)
    first = open_source(spec, "stratified_train[:40%]", data_dir=prepared)
    rest = open_source(spec, "stratified_train[40%:]", data_dir=prepared)
    assert np.bincount(first.labels).tolist() == [4, 4]
    assert sorted([*first.items, *rest.items]) == sorted(whole.items)


def write_set(data_dir, name, features, examples):
    """A data set as `tfds build` leaves it."""
    import tensorflow_datasets as tfds

    info = {"VERSION": tfds.core.Version("1.0.0")}
    info["_info"] = lambda self: tfds.core.DatasetInfo(
        builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
    )
    info["_split_generators"] = lambda self, manager: {"train": self._generate_examples()}
    info["_generate_examples"] = lambda self: enumerate(examples)
    made = type(name, (tfds.core.GeneratorBasedBuilder,), info | {"__module__": __name__})
    made(data_dir=data_dir).download_and_prepare()


def test_a_part_of_a_set_in_the_order_of_its_classes_is_warned_of(tmp_path, caplog):
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=(8, 8, 3), encoding_format="png"),
        "label": tfds.features.ClassLabel(names=["cold", "mild", "warm"]),
    }
    rows = [{"image": image, "label": row // 12} for row, image in enumerate(pixels(36))]
    write_set(tmp_path, "SortedColours", features, rows)
    spec = "tfds:sorted_colours"
    assert np.bincount(open_source(spec, "train[:50%]", data_dir=tmp_path).labels).tolist() == [
        12,
        6,
    ]
    (message,) = [r.message for r in caplog.records if "is sorted by class" in r.message]
    assert "'warm'" in message and "stratified_train[:50%]" in message


def test_float_images_are_refused_and_others_beside_them_are_taken(tmp_path):
    import tensorflow_datasets as tfds

    depth = tfds.features.Image(shape=(8, 8, 1), dtype=np.float32)
    values = [np.full((8, 8, 1), 2.5, np.float32)] * 3
    write_set(tmp_path, "TinyDepths", {"depth": depth}, [{"depth": value} for value in values])
    message = error_of(open_source, "tfds:tiny_depths", data_dir=tmp_path)
    assert "depth" in message and "float32" in message and "whose white level is unknown" in message
    both = {"a_depth": depth, "photo": tfds.features.Image(shape=(8, 8, 3), encoding_format="png")}
    images = pixels(3)
    rows = [{"a_depth": v, "photo": image} for v, image in zip(values, images, strict=True)]
    write_set(tmp_path, "TinyScenes", both, rows)
    found = open_source("tfds:tiny_scenes", data_dir=tmp_path).load([0, 1, 2], 8)
    np.testing.assert_array_equal(found, images)


@pytest.fixture
def no_network(monkeypatch):
    """Refuses every look-up and every connection; gives the list of those that were tried."""
    tried = []

    def refuse(*args, **kwargs):
        tried.append(args)
        raise socket.gaierror(socket.EAI_AGAIN, "no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tried


def test_a_prepared_set_needs_no_network(prepared, no_network):
    assert len(open_source("tfds:tiny_colours", data_dir=prepared)) == 20
    assert available_splits("tfds:tiny_colours", data_dir=prepared) == ["train", "test"]
    error_of(open_source, "tfds:tiny_colour", data_dir=prepared)
    assert no_network == []
