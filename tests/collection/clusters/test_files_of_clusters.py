"""Representatives, contact sheets and copies of clusters."""

import csv
import os
import shutil
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from helpers.pictures import pixels, write_images
from PIL import Image

from and_tf.collection.clusters import copying
from and_tf.collection.clusters.contact_sheets import (
    TITLE_HEIGHT,
    check_sheets_folder,
    write_contact_sheets,
)
from and_tf.collection.clusters.copying import (
    check_copies,
    check_copies_place,
    copy_clusters,
    planned_copies,
)
from and_tf.collection.clusters.representatives import representatives
from and_tf.data.sources.arrays import array_source
from and_tf.errors import UserError

NAMES = ("a/one.png", "b/one.png", "b/ONE.png", "two.png", "three.png")
NUMBERS = np.array([0, 0, 0, 1, 1])


@pytest.fixture
def paths(tmp_path):
    write_images(tmp_path / "photos", NAMES)
    return [str(tmp_path / "photos" / name) for name in NAMES]


def test_representatives_are_the_nearest_to_the_centre_and_show_nothing_twice():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5))
    numbers = rng.integers(0, 3, 60).astype("int32")
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = representatives(rows, numbers, count=7)
    for number, shown in enumerate(found):
        centre = unit[numbers == number].mean(axis=0)
        cosines = unit @ centre / np.linalg.norm(centre)
        others = np.flatnonzero(numbers == number)
        np.testing.assert_array_equal(shown, others[np.argsort(-cosines[others])][:7])
    first, second = found[0][:2]
    without = representatives(rows, numbers, [(int(first), int(second), 59)], count=7)
    assert first in without[0] and second not in without[0] and len(without[0]) == 7


def test_every_cluster_has_a_sheet_with_its_images_nearest_first(tmp_path):
    images = pixels(12, side=96)
    numbers = np.array([0] * 9 + [1] * 3)
    shown = [np.array([4, 2, 0, 1, 3, 5, 6, 7, 8]), np.array([11, 9])]
    folder = write_contact_sheets(tmp_path / "t.clusters", array_source(images), numbers, shown)
    assert sorted(path.name for path in folder.glob("*")) == [
        ".nomedia", "cluster_000.png", "cluster_001.png"
    ]  # fmt: skip
    sheet = np.asarray(Image.open(folder / "cluster_000.png"))
    np.testing.assert_array_equal(sheet[TITLE_HEIGHT : TITLE_HEIGHT + 96, :96], images[4])
    np.testing.assert_array_equal(sheet[TITLE_HEIGHT : TITLE_HEIGHT + 96, 98:194], images[2])
    assert sheet[5:20, 5:200].max() == 255 and sheet[:4].max() < 60  # a title on a dark bar
    write_contact_sheets(folder, array_source(images), numbers[:9], shown[:1])
    assert sorted(path.name for path in folder.iterdir()) == [".nomedia", "cluster_000.png"]


def test_a_folder_with_other_files_is_not_replaced_by_sheets(tmp_path):
    check_sheets_folder(tmp_path / "none")
    (tmp_path / "cluster_000.png").touch()
    check_sheets_folder(tmp_path)
    (tmp_path / "holiday.png").touch()
    with pytest.raises(UserError, match=r"where they would replace holiday\.png"):
        check_sheets_folder(tmp_path)


def test_copies_keep_names_and_no_name_is_taken_twice(paths, tmp_path):
    target = tmp_path / "out"
    assert copy_clusters(target, paths, NUMBERS) == 5
    files = {path.relative_to(target).as_posix() for path in target.rglob("*.png")}
    assert files == {
        "cluster_000/one.png", "cluster_000/one_2.png", "cluster_000/ONE_3.png",
        "cluster_001/two.png", "cluster_001/three.png",
    }  # fmt: skip
    with open(target / "clusters.csv") as file:
        for row in csv.DictReader(file):
            with open(target / row["copy"], "rb") as copy, open(row["image"], "rb") as image:
                assert copy.read() == image.read()


def test_copies_of_images_whose_names_look_like_formulas_are_known_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["=1+1.png", "a;@x.png"]
    write_images(tmp_path, names)
    assert copy_clusters(tmp_path / "out", names, np.array([0, 1])) == 2
    assert (tmp_path / "out" / "clusters.csv").read_text().splitlines()[1:] == [
        "cluster_000/=1+1.png,'=1+1.png", "cluster_001/a;'@x.png,a;'@x.png"
    ]  # fmt: skip
    check_copies(tmp_path / "out", names, numbers=[2])
    assert copy_clusters(tmp_path / "out", names, np.array([0, 1])) == 0


def test_names_that_look_like_numbered_ones_do_not_clash():
    copies = planned_copies(["a/x_2.png", "b/x.png", "c/x.png"], np.zeros(3, int))
    assert [copy.target for copy in copies] == [
        "cluster_000/x_2.png", "cluster_000/x.png", "cluster_000/x_3.png"
    ]  # fmt: skip


def test_a_broken_off_copying_is_continued(paths, tmp_path, monkeypatch):
    plain = shutil.copy2

    def fail(source, target):
        plain(source, target)
        if "two" in str(source):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", fail)
        with pytest.raises(KeyboardInterrupt):
            copy_clusters(tmp_path / "out", paths, NUMBERS)
    assert not list((tmp_path / "out").rglob("*partial*")) and not list(
        (tmp_path / "out").rglob("two*")
    )
    check_copies(tmp_path / "out", paths)
    assert copy_clusters(tmp_path / "out", paths, NUMBERS) == 2


def test_copies_of_other_clusters_and_files_in_the_way_stay(paths, tmp_path):
    target = tmp_path / "out"
    copy_clusters(target, paths, NUMBERS)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds copies of other clusters"):
        copy_clusters(target, paths, 1 - NUMBERS)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    (target / "cluster_001" / "two.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"two\.png exists and is not a copy .* not overwritten"):
        copy_clusters(target, paths, NUMBERS)
    assert (target / "cluster_001" / "two.png").read_bytes() == b"mine"


def test_hard_links_take_no_room(paths, tmp_path):
    copy_clusters(tmp_path / "out", paths, NUMBERS, as_links=True)
    assert os.path.samefile(paths[3], tmp_path / "out" / "cluster_001" / "two.png")


def test_a_disk_that_cannot_link_is_named_with_the_remedy(paths, tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(UserError, match=r"cannot hold a hard link .* leave out link_clusters"):
        copy_clusters(tmp_path / "out", paths, NUMBERS, as_links=True)


PLACES = MappingProxyType({
    "photos/out": "so the copies would join the images",
    "photos/two.png": "so the copies would join the images",
    "full": "files that are not copies of clusters",
    "file": "is a file: name a folder",
})  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_places_that_are_not_for_copies_are_refused_early(paths, tmp_path, place):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=PLACES[place]):
        check_copies_place(tmp_path / place, tmp_path / "photos")


def test_a_file_in_the_way_of_a_copy_is_refused_early(paths, tmp_path):
    copy_clusters(tmp_path / "out", paths, NUMBERS)
    check_copies(tmp_path / "out", paths, numbers=[2])
    (tmp_path / "out" / "cluster_001" / "two.png").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"two\.png exists and is not a copy .* not overwritten"):
        check_copies(tmp_path / "out", paths, numbers=[2, 3])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"copy,image\n\x00,", b"copy,image\na/b,c\n"])
def test_a_list_that_is_none_of_these_copies_is_refused_early(paths, tmp_path, content):
    (tmp_path / "clusters.csv").write_bytes(content)
    with pytest.raises(UserError, match="holds copies of other clusters"):
        check_copies(tmp_path, paths)


def test_what_is_copied_already_needs_no_room(paths, tmp_path, monkeypatch):
    copy_clusters(tmp_path / "out", paths, NUMBERS)
    (tmp_path / "out" / "cluster_001" / "two.png").unlink()
    size = os.stat(paths[3]).st_size
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda path: usage._replace(free=size))
    check_copies(tmp_path / "out", paths)
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda path: usage._replace(free=size - 1))
    with pytest.raises(UserError, match="do not fit"):
        check_copies(tmp_path / "out", paths)


def test_links_to_another_disk_are_refused_early(paths, tmp_path, monkeypatch):
    plain = Path.stat

    def stat(self, **more):
        found = plain(self, **more)
        return os.stat_result([*found[:2], 99, *found[3:]]) if self.name == "photos" else found

    monkeypatch.setattr(Path, "stat", stat)
    check_copies_place(tmp_path / "out", tmp_path / "photos")
    with pytest.raises(UserError, match="hard links need the same disk: leave out link_clusters"):
        check_copies_place(tmp_path / "out", tmp_path / "photos", as_links=True)


def test_a_disk_without_room_is_refused_early_and_links_need_none(paths, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda path: usage)
    check_copies(tmp_path / "out", paths, as_links=True)
    with pytest.raises(UserError, match=r"do not fit on its disk.*make room"):
        check_copies(tmp_path / "out", paths)
