"""What a message tells to do is possible."""

import pytest
from helpers import programs
from helpers.pictures import pixels, write_images

from and_tf.data import statistics
from and_tf.data.sources.folder import open_folder
from and_tf.errors import Argument, BrokenImage, UserError
from and_tf.runs.workdir import Workdir
from and_tf.training import loop, start
from and_tf.training.build import possible_remedy

pytestmark = pytest.mark.usefixtures("no_exports")

SKIPPED = Argument("skip_broken", True)
SMALL = [
    "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8", "--rounds=0",
    "--epochs_per_round=1", "--batch_size=16", "--eval_every=0",
]  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    """Sixteen whole images and eight that are cut short, with valid headers."""
    names = [f"{number:02}.png" for number in range(24)]
    write_images(tmp_path / "photos", names, side=32)
    for name in names[::3]:
        content = (tmp_path / "photos" / name).read_bytes()
        (tmp_path / "photos" / name).write_bytes(content[:-100])
    return tmp_path / "photos"


def test_a_run_without_a_step_is_begun_anew_with_other_images_and_settings(
    photos, tmp_path, capsys, monkeypatch
):
    def meet_a_broken_image(*arguments):
        raise BrokenImage("01.png is broken: ", "repair or remove it, or pass ", SKIPPED, ".")

    command = [*SMALL, "--cache_mb=0", f"--data=folder:{photos}", f"--workdir={tmp_path}/run"]
    with monkeypatch.context() as patch:
        patch.setattr(loop, "fit", meet_a_broken_image)
        patch.setattr(
            statistics, "channel_statistics", lambda *arguments, **more: ([0.0] * 3, [1.0] * 3)
        )
        patch.setattr(start, "sample_augmented", lambda *arguments, **more: pixels(2))
        assert programs.train(command) == 2
    assert "repair or remove it, or pass --skip_broken" in capsys.readouterr().err
    assert len(Workdir(tmp_path / "run").read_images().names) == 24
    assert programs.train([*command, "--skip_broken", "--temperature=0.2"]) == 0
    assert "the run starts again" in capsys.readouterr().err
    assert len(Workdir(tmp_path / "run").read_images().names) == 16
    assert programs.train([*command, "--skip_broken"]) == 2  # there is something to lose now
    assert "holds a run with other settings" in capsys.readouterr().err


def test_a_run_with_a_checkpoint_names_what_is_possible(photos, tmp_path):
    with pytest.raises(BrokenImage) as caught:
        open_folder(photos).load([0], 8)
    run = Workdir(tmp_path / "run")
    assert possible_remedy(caught.value, run) is caught.value
    run.checkpoint.parent.mkdir(parents=True)
    run.checkpoint.touch()
    message = str(possible_remedy(caught.value, run))
    assert "00.png" in message and "repair" not in message
    assert "restore them, or train in another workdir, there with skip_broken=True." in message
    other = UserError(Argument("x", 1), " is wrong.")
    assert possible_remedy(other, run) is other
