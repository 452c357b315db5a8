"""`embed.py --images=FOLDER` and nothing else: trains where no encoder is known, stops, goes on."""

import pytest
from helpers import programs
from helpers.pictures import write_photos
from helpers.stops import stop_after

from and_tf.collection import quick_run
from and_tf.training import heartbeat

pytestmark = pytest.mark.usefixtures("keras_exports", "thin_resnet")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder of photos, an empty Keras cache, and quick runs of two epochs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(quick_run, "LOOKS_PER_PHOTO", 2 * quick_run.VIEWS)
    write_photos(tmp_path / "photos", [(40, 30)] * 24)
    return tmp_path


def test_a_folder_is_all_that_is_needed_and_a_stopped_command_goes_on(world, capsys):
    with stop_after(2):
        assert programs.embed(["--images=photos"]) == 0
    said = capsys.readouterr().err
    assert "in runs/photos-quick" in said and "expected to take" in said
    assert "24 images are too few" in said and "--init" in said
    assert "Stopped after step 2. The same command continues." in said
    assert not (world / "features.parquet").exists()

    assert programs.embed(["--images=photos"]) == 0
    said = capsys.readouterr()
    assert "Continuing" in said.err and "Verdict: " in said.out
    assert "runs/photos-quick" in said.out and (world / "features.parquet").is_file()

    (world / "features.parquet").unlink()
    assert programs.embed(["--images=photos"]) == 0  # the run is there: nothing is trained
    said = capsys.readouterr()
    assert "newest run that was trained on these photos" in said.err and "epoch" not in said.err
    assert (world / "features.parquet").is_file()


def test_a_run_shows_signs_of_life_and_ends_with_the_next_commands(world, monkeypatch, capsys):
    monkeypatch.setattr(heartbeat.Heartbeat.__init__, "__defaults__", (0.2,))
    flags = ["--data=photos", "--encoder=resnet_small", "--image_size=16", "--rounds=0"]
    flags += ["--epochs_per_round=2", "--batch_size=8", "--name=mine"]
    assert programs.train(flags) == 0
    said = capsys.readouterr()
    before, _, after = said.err.partition("epoch 1/2")
    assert "Still reading and checking images" in before
    assert "compiling the first step" in before
    assert "About " in before and "Still" not in after.partition("epoch 2/2")[2]
    for command in (
        "python report.py --workdir=runs/mine",
        f"python embed.py --model=runs/mine --images={world}/photos",
        "python export.py --workdir=runs/mine --format=onnx",
    ):
        assert command in said.out
    assert "Verdict: " in (world / "runs" / "mine" / "summary.txt").read_text()
