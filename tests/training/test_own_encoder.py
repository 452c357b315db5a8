"""A method that makes its encoder itself: the run keeps the layers, and can be restored of them."""

import dataclasses

import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import make_runs_small, small_encoder

from and_tf import load_encoder
from and_tf.errors import UserError
from and_tf.methods import METHODS
from and_tf.methods.random_weights import RandomWeights
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import experiment_settings

TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--train_split=train[:150]",
    "--eval_split=test[:50]", "--rounds=0", "--epochs_per_round=1", "--batch_size=64",
    "--embedding_dim=8", "--seed=5",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Narrow(RandomWeights):
    """Narrow."""

    def build_encoder(self, build):
        return build(embedding_dim=5)


@pytest.fixture
def narrow(monkeypatch):
    make_runs_small(monkeypatch)
    monkeypatch.setitem(METHODS, "random", Narrow)


def test_the_encoder_is_made_by_the_method_and_restored_from_the_run(narrow, tmp_path):
    run = Workdir(tmp_path / "run")
    assert programs.train([*TINY, "--method=random", f"--workdir={run.path}"]) == 0
    restored = load_encoder(run.path)
    assert restored.output_shape == (None, 5)
    arrays, _ = checkpoint.load(run.checkpoint)
    np.testing.assert_array_equal(arrays["encoder/fc/kernel"], restored.get_layer("fc").kernel)


def test_a_method_that_takes_the_usual_encoder_keeps_no_layers(monkeypatch, tmp_path):
    make_runs_small(monkeypatch)
    run = Workdir(tmp_path / "run")
    monkeypatch.setattr("and_tf.runs.restore.build_encoder", small_encoder)
    assert programs.train([*TINY, "--method=random", f"--workdir={run.path}"]) == 0
    assert not run.network.exists()
    assert load_encoder(run.path).output_shape == (None, 8)


def test_it_cannot_take_the_network_of_pretrained_weights(narrow):
    values = {"method": "random", "init": "MobileNetV2"}
    with pytest.raises(UserError, match=r"method='random' builds its own encoder.*encoder"):
        experiment_settings(values)
    assert experiment_settings({**values, "encoder": "alexnet"}).keeps_network
