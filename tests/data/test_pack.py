"""Packed images are those of the folder, whatever happens while they are packed."""

import dataclasses
import os
import pickle
import runpy
import shutil
import sys

import numpy as np
import pytest
from helpers.pictures import error_of, write_images

from and_tf.data import pack as packing
from and_tf.data.augmentation.columns import VALUES_PER_IMAGE
from and_tf.data.manifest import changes, manifest
from and_tf.data.pack import pack
from and_tf.data.pack_settings import PackSettings
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.opening import available_splits, open_source
from and_tf.errors import BrokenFile, ImageChanged, MissingPackage, UserError

CROP = AugmentationSettings(image_size=8)
NAMES = [f"train/{kind}/{number}.png" for kind in ("ant", "bee") for number in range(5)]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder with two splits and an image that cannot be read; files of two or three images."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_images(tmp_path / "photos", [*NAMES, "test/bee/1.png", "test/ant/\udce9.png"], side=12)
    (tmp_path / "photos/train/ant/x.png").write_bytes(b"")
    size = max(os.path.getsize(path) for path in (tmp_path / "photos/train/ant").iterdir())
    monkeypatch.setattr(PackSettings, "file_bytes", property(lambda self: 3 * size))
    return PackSettings(
        data=str(tmp_path / "photos"), output=str(tmp_path / "packed"), skip_broken=True
    )


def opened(settings, split="train"):
    return (
        open_source(settings.data, split, skip_broken=True),
        open_source(f"records:{settings.output}", split),
    )


def images_of(settings):
    return sorted(os.path.basename(p) for p in os.listdir(settings.output) if "array_record" in p)


def test_packed_images_are_those_of_the_folder(photos):
    pack(photos)
    assert available_splits(f"records:{photos.output}") == ["train", "test"]
    assert len(images_of(photos)) > 4
    for split in ("train", "test"):
        folder, packed = opened(photos, split)
        assert [*packed.items] == [packing.Path(path).read_bytes() for path in folder.items]
        assert packed.fingerprint == folder.fingerprint and packed.names == folder.names
        assert not changes(manifest(folder), manifest(packed))
        assert packed.class_names == folder.class_names == ["ant", "bee"]
        np.testing.assert_array_equal(packed.labels, folder.labels)
        np.testing.assert_array_equal(packed.image_shapes, folder.image_shapes)
        assert packed.broken == folder.broken
        noise = np.random.default_rng(0).random((2, VALUES_PER_IMAGE), np.float32)
        crops = [s.load_crops(np.array([1, 0]), noise, CROP)[0] for s in (packed, folder)]
        np.testing.assert_array_equal(*crops)  # as training sees them
        part, of_folder = (source.take([1, 0]) for source in (packed, folder))
        assert part.fingerprint == of_folder.fingerprint
        part = pickle.loads(pickle.dumps(part))  # as processes of photos get it
        np.testing.assert_array_equal(part.load([0, 1], 9), of_folder.load([0, 1], 9))
    both = open_source(f"records:{photos.output}", "test+train[:2]")
    assert both.names[:1] == packed.names[:1] and len([*both.items]) == 4


def test_packed_files_are_examples_for_others_to_read(photos):
    from array_record.python.array_record_data_source import ArrayRecordDataSource
    from tensorflow_datasets.proto import tf_example_pb2

    pack(photos)
    paths = sorted(str(path) for path in packing.Path(photos.output).glob("train*.array_record"))
    records = ArrayRecordDataSource(paths)
    found = [tf_example_pb2.Example.FromString(records[row]) for row in range(len(records))]
    folder, _ = opened(photos)
    names = [example.features.feature["name"].bytes_list.value[0].decode() for example in found]
    assert names == folder.names
    labels = [example.features.feature["label"].int64_list.value[0] for example in found]
    assert labels == folder.labels.tolist()


def test_packing_goes_on_where_it_was_broken_off(photos, monkeypatch):
    written, plain = [], packing._written

    def stopped(path, *arguments):
        if len(written) == 2:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(path.name)
        return plain(path, *arguments)

    monkeypatch.setattr(packing, "_written", stopped)
    with pytest.raises(KeyboardInterrupt):
        pack(photos)
    assert len(images_of(photos)) == 2
    assert "not complete" in error_of(open_source, f"records:{photos.output}")
    rest = []
    monkeypatch.setattr(packing, "_written", lambda p, *a: (rest.append(p.name), plain(p, *a))[1])
    pack(photos)
    assert not set(rest) & set(written) and len({*rest, *written}) == len(images_of(photos))
    folder, packed = opened(photos)
    assert packed.fingerprint == folder.fingerprint
    rest.clear()
    pack(photos)
    assert rest == []  # once more changes nothing


@pytest.mark.parametrize("damage", ["short", "gone", "index"])
def test_a_damaged_file_is_named_and_packed_again_alone(photos, monkeypatch, damage):
    pack(photos)
    path = packing.Path(photos.output) / images_of(photos)[1]
    if damage == "short":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "gone":
        path.unlink()
    else:
        path.with_suffix(".npz").write_bytes(b"no")
    split = path.name.partition("-")[0]
    message = error_of(open_source, f"records:{photos.output}", split)
    assert str(path) in message and "pack the images again" in message
    written, plain = [], packing._written
    monkeypatch.setattr(packing, "_written", lambda p, *a: (written.append(p), plain(p, *a))[1])
    pack(photos)
    assert [p.name for p in written] == [path.name]
    assert opened(photos, split)[1].fingerprint == opened(photos, split)[0].fingerprint


def test_a_bit_that_flips_later_is_found_when_the_image_is_read(photos):
    pack(photos)
    path = packing.Path(photos.output) / images_of(photos)[-1]
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 9] ^= 1
    path.write_bytes(content)
    source = open_source(f"records:{photos.output}", path.name.partition("-")[0])
    rows = np.flatnonzero(source.items.files == source.items.files[-1])
    with pytest.raises(BrokenFile, match=rf"{path} is corrupt .*remove the file"):
        source.load(rows, 12)
    path.unlink()
    pack(photos)
    split = path.name.partition("-")[0]
    folder, packed = opened(photos, split)
    np.testing.assert_array_equal(packed.load(rows, 12), folder.load(rows, 12))


def test_what_was_not_written_as_it_should_is_no_packed_file(photos, monkeypatch):
    plain = packing.write_records

    def faulty(path, records):
        plain(path, (record.replace(b"IDAT", b"IDAX") for record in records))

    monkeypatch.setattr(packing, "write_records", faulty)
    with pytest.raises(BrokenFile, match="a different checksum"):
        pack(photos)
    assert images_of(photos) == []


def test_an_image_that_changes_meanwhile_is_named(photos, monkeypatch):
    plain = packing._begin

    def begin(*arguments):
        plain(*arguments)
        path = packing.Path(photos.data) / NAMES[3]
        path.write_bytes(path.read_bytes() + b"more")

    monkeypatch.setattr(packing, "_begin", begin)
    with pytest.raises(ImageChanged, match=NAMES[3]):
        pack(photos)
    monkeypatch.undo()


def test_other_images_are_not_packed_into_the_same_folder(photos):
    pack(photos)
    assert "with other labels" in error_of(pack, dataclasses.replace(photos, labels="none"))
    (packing.Path(photos.data) / NAMES[3]).unlink()
    message = error_of(pack, photos)
    assert "from other images (split train)" in message and "output" in message


def test_a_folder_that_holds_something_else_is_left_alone(photos):
    target = packing.Path(photos.output)
    target.mkdir()
    (target / "letter.txt").write_text("dear")
    assert "holds something else" in error_of(pack, photos)
    assert os.listdir(target) == ["letter.txt"]
    assert "no packed images" in error_of(open_source, f"records:{photos.output}")


def test_a_disk_without_room_is_refused_before_anything_is_written(photos, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda path: usage)
    assert "make room" in error_of(pack, photos)
    assert images_of(photos) == []


def test_boxes_are_kept_for_those_who_crop_to_them(photos, tmp_path):
    rows = [f"photos/{name},{x},1,{x + 3},9" for x, name in enumerate(NAMES)]
    table = tmp_path / "birds.csv"
    table.write_text("\n".join(["path,xmin,ymin,xmax,ymax", *rows]))
    settings = dataclasses.replace(photos, data=f"list:{table}")
    pack(settings)
    again = dataclasses.replace(
        settings, data=f"records:{settings.output}", output=str(tmp_path / "again")
    )
    pack(again)
    for crop_to_box in (True, False):
        expected, *found = (
            open_source(spec, crop_to_box=crop_to_box)
            for spec in (settings.data, again.data, f"records:{again.output}")
        )
        for packed in found:
            assert packed.fingerprint == expected.fingerprint
            np.testing.assert_array_equal(packed.image_shapes, expected.image_shapes)
            np.testing.assert_array_equal(packed.load([7, 2], 8), expected.load([7, 2], 8))
    for index in packing.Path(again.output).glob("*.npz"):
        arrays = dict(np.load(index))
        np.savez(index, **arrays | {"boxes": arrays["boxes"] * np.nan})
    message = error_of(open_source, f"records:{again.output}", crop_to_box=True)
    assert "boxes hold NaN" in message
    table.write_text(table.read_text().replace(",1,3,9", ",2,3,9"))
    assert "with other labels, boxes" in error_of(pack, settings)


def test_what_was_packed_without_boxes_is_not_cropped_to_any(photos):
    pack(photos)
    message = error_of(open_source, f"records:{photos.output}", crop_to_box=True)
    assert "crop_to_box=True" in message and photos.output in message


def test_a_folder_of_another_form_is_to_be_packed_anew(photos):
    pack(photos)
    folder = packing.Path(photos.output)
    for name in ("plan.json", "records.json"):
        plan = (folder / name).read_text()
        (folder / name).write_text(plan.replace('"version": 2', '"version": 1'))
    for message in (error_of(open_source, f"records:{folder}"), error_of(pack, photos)):
        assert "format 1" in message and "remove the folder, and pack the images again" in message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"ends": [', '"ends": [' + "[" * 10**5),  # nested too deeply
        ('"ends": [2', '"ends": ["2"'),
        ('"ends": [2', '"ends": [0'),
        ('"ends": [2', '"ends": [100000000000'),
        ('"ends": [2', '"ends": [2000000000'),
        ('"has_names": true', '"has_names": null'),
        ('["ant", "bee"]', '["ant"]'),
        ('["ant", "bee"]', '"ant"'),
        ('"broken": [[', '"broken": [["a"], ['),
        ('"version": 2', '"version": "2"'),
        ('"splits": {', '"splits": {"other": [], '),
    ],
)  # fmt: skip
def test_a_forged_plan_is_refused_in_a_line(photos, old, new):
    pack(photos)
    plan = packing.Path(photos.output) / "records.json"
    text = plan.read_text()
    assert old in text
    plan.write_text(text.replace(old, new))
    message = error_of(open_source, f"records:{photos.output}", "test")
    assert photos.output in message and "pack the images again" in message


def test_a_forged_plan_is_no_plan_to_go_on_by_and_the_remedy_works(photos):
    pack(photos)
    (packing.Path(photos.output) / "plan.json").write_text("{")
    message = error_of(pack, photos)
    assert "plan.json cannot be read" in message and "remove the folder, or name another" in message
    shutil.rmtree(photos.output)
    pack(photos)


def test_what_a_later_version_adds_is_passed_over(photos):
    pack(photos)
    plan = packing.Path(photos.output) / "records.json"
    plan.write_text(plan.read_text().replace('"has_names"', '"more": 1, "has_names"'))
    assert len(open_source(f"records:{photos.output}", "train")) == 10


def test_names_and_labels_of_another_index_are_refused(photos):
    pack(photos)
    (first, *_) = sorted(packing.Path(photos.output).glob("train-*.npz"))
    arrays = dict(np.load(first))
    for name, value in (("names", np.zeros(9, np.uint8)), ("labels", arrays["labels"] + 7)):
        np.savez(first, **(arrays | {name: value}))
        message = error_of(open_source, f"records:{photos.output}", "train")
        assert "split train, cannot be read" in message and "pack the images again" in message
        pack(photos)  # which writes this file anew
        assert len(open_source(f"records:{photos.output}", "train")) == 10


@pytest.mark.parametrize(
    ("name", "forge", "words"),
    [
        ("names", lambda old: np.uint8(0), "names holds uint8 of shape ()"),
        ("labels", lambda old: np.stack([old, old], axis=1), "labels holds int32 of shape"),
        ("labels", lambda old: old - 2, "labels hold -2"),
        ("sizes", lambda old: -old, "sizes hold -"),
        ("shapes", lambda old: old[:, :1], "shapes holds int32 of shape"),
        ("shapes", lambda old: -old, "shapes hold -12"),
    ],
)
def test_an_index_of_other_shapes_or_values_is_refused(photos, name, forge, words):
    pack(photos)
    (first, *_) = sorted(packing.Path(photos.output).glob("train-*.npz"))
    arrays = dict(np.load(first))
    np.savez(first, **(arrays | {name: forge(arrays[name])}))
    message = error_of(open_source, f"records:{photos.output}", "train")
    assert words in message and "pack the images again" in message


def test_without_array_record_nothing_is_begun(photos, monkeypatch):
    pack(photos)
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    for call in (lambda: pack(photos), lambda: open_source(f"records:{photos.output}")):
        with pytest.raises(MissingPackage, match="pip install array_record"):
            call()


def test_the_module_runs_as_the_program_does(monkeypatch):
    monkeypatch.setattr("and_tf.cli.pack.main", lambda: 7)
    monkeypatch.delitem(sys.modules, "and_tf.data.pack")  # runpy warns of a module that is loaded
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("and_tf.data.pack", run_name="__main__")
    assert ended.value.code == 7


def test_pixels_are_not_packed(photos):
    with pytest.raises(UserError, match="holds pixels"):
        pack(dataclasses.replace(photos, data="digits"))
