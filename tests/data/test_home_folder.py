"""`~` is the home folder wherever a path is given, in Python as well."""

import os

import numpy as np
import pytest
from helpers.pictures import write_images

from and_tf.collection.table import write_table
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.opening import absolute_spec, available_splits, open_source
from and_tf.encoders.pretrained import open_pretrained
from and_tf.errors import NotFound
from and_tf.runs.workdir import newest_run


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", ["a/1.png", "b/1.png"])
    return tmp_path


@pytest.mark.parametrize(
    "spec", ["folder:~/photos", "~/photos", "./photos", "photos", "{home}/photos", "photos/"]
)
def test_images(home, spec):
    spec = spec.format(home=home)
    assert len(open_source(spec)) == 2 and available_splits(spec) == ["train"]
    assert absolute_spec(spec) == f"folder:{home}/photos"


def test_a_folder_by_its_path(home):
    assert len(open_folder("~/photos")) == 2


def test_what_is_written(home):
    write_table("~/features.npz", ["1.png"], np.ones((1, 3)))
    assert (home / "features.npz").is_file()


def test_runs(home):
    with pytest.raises(NotFound, match=f"No run under {home}/runs"):
        newest_run("~/runs")
    (home / "runs/a/checkpoints").mkdir(parents=True)
    (home / "runs/a/checkpoints/last.npz").write_bytes(b"")
    assert newest_run("~/runs").path == home / "runs/a"


@pytest.fixture
def nobody(monkeypatch):
    """A user with neither HOME nor an entry in /etc/passwd, as in a container."""

    def unknown(*others):
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_without_a_home_images_are_read_and_no_checks_are_kept(home, nobody):
    for _ in range(2):
        assert len(open_folder("photos", decode=True)) == 2
    assert sorted(os.listdir(home)) == ["photos"]
    with pytest.raises(NotFound):
        open_pretrained("MobileNetV2")


def test_an_unknown_user_has_no_home_and_a_path_is_as_it_is_written(home):
    write_table("~nobody-of-this-name/features.npz", ["1.png"], np.ones((1, 3)))
    assert (home / "~nobody-of-this-name/features.npz").is_file()
