"""Encoders that are read again: from the checkpoints of a run, and from a `.keras` file."""

import numpy as np
import pytest
from helpers.encoder_runs import make_encoder_run
from helpers.pictures import pixels

import and_tf
from and_tf.errors import BrokenFile, NotFound
from and_tf.runs.restore import restore_encoder
from and_tf.runs.workdir import Workdir


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """The folder of a run, and the encoders that its checkpoints hold."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, make_encoder_run(folder)


@pytest.mark.parametrize(("which", "step"), [("last", 1), ("best", 2), ("round_0", 3)])
def test_each_checkpoint_gives_its_own_encoder_and_step(encoders, which, step):
    folder, made = encoders
    restored = restore_encoder(Workdir(folder), which)
    images = pixels(2, 8)
    np.testing.assert_array_equal(
        restored.encoder.predict(images, verbose=0), made[which].predict(images, verbose=0)
    )
    assert restored.step == step and restored.path.stem == which


def test_a_keras_file_gives_the_encoder_that_was_saved(encoders, tmp_path):
    saved = encoders[1]["best"]
    saved.save(tmp_path / "encoder.keras")
    images = pixels(2, 8)
    np.testing.assert_array_equal(
        and_tf.load_encoder(tmp_path / "encoder.keras").predict(images, verbose=0),
        saved.predict(images, verbose=0),
    )


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle:])


@pytest.mark.parametrize(
    "corrupt",
    [lambda content: b"", lambda content: b"nonsense", lambda content: content[:-1000], flip],
    ids=["empty", "another kind", "cut short", "flipped bytes"],
)
def test_a_corrupt_keras_file_is_named_in_one_line(encoders, tmp_path, corrupt):
    path = tmp_path / "encoder.keras"
    encoders[1]["last"].save(path)
    path.write_bytes(corrupt(path.read_bytes()))
    with pytest.raises(BrokenFile, match="may be corrupt") as error:
        and_tf.load_encoder(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_keras_file_or_run_that_is_not_there_is_named(tmp_path):
    for name in ("encoder.keras", "run"):
        with pytest.raises(NotFound, match=name):
            and_tf.load_encoder(tmp_path / name)
