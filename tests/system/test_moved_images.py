"""A run finds its images from any folder, and goes on where they were moved to."""

import shutil

import pytest
from helpers import programs
from helpers.pictures import write_photos
from helpers.small_runs import make_runs_small

FLAGS = [
    "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8", "--rounds=0",
    "--epochs_per_round=1", "--batch_size=8", "--eval_every=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with photos and a run on them, begun by a relative path and killed at its end."""
    here = tmp_path_factory.mktemp("world")
    write_photos(here / "photos" / "train", [(40, 30)] * 12)
    write_photos(here / "photos" / "val", [(30, 40)] * 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        make_runs_small(patch)
        assert programs.train([*FLAGS, "--data=folder:photos", "--workdir=run"]) == 0
    (here / "run" / "summary.txt").unlink()
    return here


@pytest.fixture
def world(trained, tmp_path, monkeypatch):
    make_runs_small(monkeypatch)
    return shutil.copytree(trained, tmp_path / "world")


def train(world, data, *more):
    return programs.train([*FLAGS, f"--data={data}", f"--workdir={world / 'run'}", *more])


def test_a_run_keeps_absolute_paths(trained):
    assert f"--data=folder:{trained}/photos\n" in (trained / "run" / "flags.cfg").read_text()


def test_a_moved_folder_is_named_anew(world, capsys):
    (world / "photos").rename(world / "pictures")
    assert train(world, f"folder:{world}/pictures") == 0
    assert "Continuing" in capsys.readouterr().err
    assert f"--data=folder:{world}/pictures\n" in (world / "run" / "flags.cfg").read_text()


def test_a_run_of_before_is_continued_by_its_relative_path(world, monkeypatch, capsys):
    flags = world / "run" / "flags.cfg"
    lines = flags.read_text().splitlines()
    lines = ["--data=folder:photos" if x.startswith("--data=") else x for x in lines]
    flags.write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(world)
    assert train(world, "folder:photos") == 0
    assert "Continuing" in capsys.readouterr().err
    assert f"--data=folder:{world}/photos\n" in flags.read_text()


@pytest.mark.parametrize("kind", ["edited", "missing", "held out", "no held out"])
def test_other_images_are_refused(world, capsys, kind):
    (world / "photos").rename(world / "pictures")
    first = world / "pictures" / "train" / "00.png"
    if kind == "edited":
        shutil.copy(world / "pictures" / "train" / "01.png", first)
    elif kind == "missing":
        first.unlink()
    elif kind == "held out":
        (world / "pictures" / "val" / "00.png").unlink()
    data = f"folder:{world}/pictures"
    if kind == "no held out":
        shutil.rmtree(world / "pictures" / "val")
        data += "/train"
    before = (world / "run" / "flags.cfg").read_text()
    assert train(world, data) == 2
    said = capsys.readouterr().err
    assert "has changed since the run in" in said and said.count("\n") == 1
    assert (world / "run" / "flags.cfg").read_text() == before


def test_a_finished_run_of_other_images_is_not_this_one(world, capsys):
    (world / "run" / "summary.txt").write_text("done")
    assert train(world, f"folder:{world}/elsewhere") == 2
    assert "other settings" in capsys.readouterr().err
