"""A network disk that goes away in the middle of an epoch: the run ends, and goes on later."""

import errno
import os

import numpy as np
from helpers import programs
from helpers.pictures import write_photos
from helpers.small_runs import make_runs_small

from and_tf.data import reading
from and_tf.data.pipeline import batch_indices
from and_tf.data.sources.encoded import EncodedSource
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir

PHOTOS, BATCH, STEP = 24, 4, 9  # counted from 0: in the second epoch
FLAGS = [
    "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8", "--rounds=0",
    "--epochs_per_round=2", f"--batch_size={BATCH}", "--eval_every=0", "--cache_mb=0",
    "--checkpoint_epochs=0", "--deterministic",
]  # fmt: skip


def test_a_run_goes_on_at_the_step_at_which_its_disk_went_away(tmp_path, monkeypatch, capsys):
    make_runs_small(monkeypatch)
    monkeypatch.setattr(reading, "DELAYS_S", (0.01, 0.02))
    write_photos(tmp_path / "photos", [(40, 30)] * PHOTOS, suffix="jpg")

    def train(name):
        return programs.train(
            [*FLAGS, f"--data={tmp_path / 'photos'}", f"--workdir={tmp_path / name}"]
        )

    def state(name):
        return checkpoint.load(Workdir(tmp_path / name).checkpoint)

    assert train("whole") == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        let_photos_vanish(patch)
        assert train("broken") == 2
    lines = capsys.readouterr().err
    assert "trying again" in lines and f"The state after step {STEP} is saved" in lines
    assert f"{tmp_path / 'photos'}" in lines.splitlines()[-1] and "Stale" in lines.splitlines()[-1]
    assert state("broken")[1]["step"] == STEP
    assert train("broken") == 0
    for key, value in state("whole")[0].items():
        np.testing.assert_array_equal(state("broken")[0][key], value, err_msg=key)


def let_photos_vanish(patch):
    """Those of one step, when it is their turn."""
    gone, load_crops, opened = set(), EncodedSource.load_crops, os.open
    of_step = set(batch_indices(PHOTOS, BATCH, 0, STEP).numpy().tolist())

    def load(source, indices, *arguments):
        if set(indices.tolist()) == of_step:
            gone.update(source.items[index] for index in of_step)
        return load_crops(source, indices, *arguments)

    def open_file(path, *arguments, **options):
        if path in gone:
            raise OSError(errno.ESTALE, "Stale file handle", path)
        return opened(path, *arguments, **options)

    patch.setattr(EncodedSource, "load_crops", load)
    patch.setattr(os, "open", open_file)
