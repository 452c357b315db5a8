"""What messages about files tell to do is done here, and then it works."""

import os
import re
import shutil

import numpy as np
import pytest
from helpers.encoded import encoded, gradient
from helpers.pictures import error_of, write_images

from and_tf.data.pack import pack
from and_tf.data.pack_settings import PackSettings
from and_tf.data.settings import DataSettings
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.opening import open_source, open_train_and_held_out
from and_tf.errors import BrokenFile, ImageChanged, NotFound, UserError
from and_tf.runs.flag_file import flag_file_text
from and_tf.runs.places import check_place
from and_tf.runs.workdir import Workdir


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return Workdir(tmp_path / "run")


def test_a_corrupt_line_of_metrics_is_removed(run):
    run.metrics.write_text('{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(BrokenFile, match=r"line 2 .*remove that line") as caught:
        run.read_metrics()
    number = int(re.search(r"line (\d+)", str(caught.value))[1])
    lines = run.metrics.read_text().splitlines(keepends=True)
    run.metrics.write_text("".join(lines[: number - 1] + lines[number:]))
    assert [record["step"] for record in run.read_metrics()] == [1, 3]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_lock_that_is_a_link_is_removed(run, tmp_path, link):
    (tmp_path / "other").write_text("of somebody else")
    link(tmp_path / "other", run.path / "lock")
    with (
        pytest.raises(UserError, match="remove it, and repeat the command") as caught,
        run.locked(),
    ):
        pytest.fail("it is held")
    os.remove(str(caught.value).partition(" is a link")[0])
    with run.locked():
        assert (tmp_path / "other").read_text() == "of somebody else"


def test_a_folder_that_is_a_link_is_removed(run, tmp_path):
    (tmp_path / "other").mkdir()
    run.exports.symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="remove the link") as caught:
        run.check_folders()
    os.remove(str(caught.value).partition(" is a link")[0])
    run.check_folders()


def test_a_name_that_no_flagfile_holds_is_replaced_by_a_link(tmp_path):
    write_images(tmp_path / "two\nlines", ["a.png"])
    message = error_of(flag_file_text, DataSettings(data=f"folder:{tmp_path}/two\nlines"))
    assert "name it by a link" in message
    (tmp_path / "link").symlink_to(tmp_path / "two\nlines")
    data = DataSettings(data=f"folder:{tmp_path}/link")
    assert f"--data=folder:{tmp_path}/link\n" in flag_file_text(data)
    assert open_train_and_held_out(data)[0].names == ["a.png"]


def test_a_directory_at_a_place_to_write_is_removed_or_another_name_given(tmp_path):
    (tmp_path / "table.npz").mkdir()
    assert "give another name or remove it" in error_of(
        check_place, "output", tmp_path / "table.npz"
    )
    check_place("output", tmp_path / "other.npz")
    (tmp_path / "table.npz").rmdir()
    check_place("output", tmp_path / "table.npz")


def test_images_are_packed_into_another_folder(tmp_path):
    write_images(tmp_path / "photos", ["a.png", "b.png"])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").touch()
    settings = {"data": str(tmp_path / "photos"), "output": str(tmp_path / "taken")}
    assert "name another folder" in error_of(pack, PackSettings(**settings))
    pack(PackSettings(**settings | {"output": str(tmp_path / "free")}))
    assert len(open_source(f"records:{tmp_path / 'free'}")) == 2


@pytest.mark.parametrize("remedy", ["repair", "remove", "skip_broken"])
def test_a_broken_image_is_repaired_or_removed_or_skipped(tmp_path, remedy):
    write_images(tmp_path, ["a.png", "b.png"])
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(b"")
    message = error_of(open_folder, tmp_path)
    assert "repair or remove, or pass skip_broken=True" in message
    if remedy == "repair":
        (tmp_path / "a.png").write_bytes(whole)
    if remedy == "remove":
        os.remove(re.search(rf"{tmp_path}/\S+", message)[0])
    source = open_folder(tmp_path, skip_broken=remedy == "skip_broken")
    assert source.names == (["a.png", "b.png"] if remedy == "repair" else ["b.png"])
    assert source.load([len(source) - 1], 8).any()


@pytest.mark.parametrize("error", [ImageChanged, NotFound])
def test_an_image_that_changed_under_a_run_is_put_back(tmp_path, error):
    write_images(tmp_path / "photos", ["a.png", "b.png"])
    source, path = open_folder(tmp_path / "photos"), tmp_path / "photos" / "b.png"
    shutil.move(path, tmp_path / "former.png")
    if error is ImageChanged:
        path.write_bytes(encoded(gradient(30, 30)))
    with pytest.raises(error, match=r"put the (former )?file back"):
        source.content(1, is_trained_on=True)
    shutil.move(tmp_path / "former.png", path)
    assert np.array_equal(source.content(1, is_trained_on=True), path.read_bytes())
