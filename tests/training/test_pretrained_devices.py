"""Runs from weights on two replicas, in half precision, and at the size of their network."""

import json

import keras
import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import skip_exports

from and_tf import load_encoder
from and_tf.runs.workdir import Workdir
from and_tf.training import workers

pytestmark = pytest.mark.system

SIDE = 24
FLAGS = [
    "--data=digits", "--train_split=train[:48]", "--eval_split=test[:20]", "--batch_size=16",
    "--rounds=1", "--epochs_per_round=1", "--color_jitter=0", "--grey=0", "--neighbourhood_size=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network of others for images of 24 pixels."""
    keras.utils.set_random_seed(3)
    x = images = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(x)
    for number, filters in enumerate((8, 12)):
        x = keras.layers.Conv2D(filters, 3, 2, padding="same", name=f"c{number}")(x)
        x = keras.layers.BatchNormalization(name=f"b{number}")(x)
        x = keras.layers.ReLU(name=f"r{number}")(x)
    path = tmp_path_factory.mktemp("weights") / "foreign.keras"
    keras.Model(images, x, name="foreign").save(path)
    return path


@pytest.fixture(scope="module")
def train(weights, tmp_path_factory):
    """Trains from the weights in a folder of its own."""

    def train(*flags):
        run = Workdir(tmp_path_factory.mktemp("runs") / "run")
        flags = [*FLAGS, *flags, f"--init={weights}", f"--workdir={run.path}"]
        with pytest.MonkeyPatch.context() as patch:
            skip_exports(patch)
            assert programs.train(flags) == 0
        return run, flags

    return train


@pytest.fixture(scope="module")
def plain(train):
    return train()


def numbers(run):
    """Losses of the epochs, and kNN at start and in the end."""
    records = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    losses = [record["loss"] for record in records if "loss" in record]
    return losses, run.read_metadata()["init_knn_top1"]


def test_without_a_size_the_images_have_that_of_the_network(plain):
    run, flags = plain
    texts = run.read_flags()
    assert (texts["image_size"], texts["init_rate"]) == (str(SIDE), "0.1")
    assert load_encoder(run.path).input_shape == (None, SIDE, SIDE, 3)
    assert programs.train(flags) == 0  # it is finished: the same command means the same run


def test_a_run_that_was_begun_at_32_pixels_goes_on_at_32(train):
    run, flags = train("--image_size=32")
    assert run.read_flags()["image_size"] == "32"
    run.summary.unlink()
    with pytest.MonkeyPatch.context() as patch:
        skip_exports(patch)
        assert programs.train([flag for flag in flags if flag != "--image_size=32"]) == 0
    assert run.read_flags()["image_size"] == "32"


def test_two_replicas_start_and_train_as_one_device(plain, train, two_replicas, monkeypatch):
    monkeypatch.setattr(workers, "choose_strategy", lambda wanted: two_replicas)
    run, _ = train("--strategy=mirrored")
    losses, at_start = numbers(run)
    expected, expected_at_start = numbers(plain[0])
    assert at_start == expected_at_start
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    theirs = load_encoder(plain[0].path)
    for layer in load_encoder(run.path).layers:
        for ours, other in zip(layer.weights, theirs.get_layer(layer.name).weights, strict=True):
            np.testing.assert_allclose(ours, other, rtol=1e-3, atol=1e-4, err_msg=ours.path)


def test_bfloat16_starts_and_trains_as_float32(plain, train):
    policy = keras.config.dtype_policy()
    try:
        run, _ = train("--precision=mixed_bfloat16")
    finally:
        keras.config.set_dtype_policy(policy)
    losses, at_start = numbers(run)
    expected, expected_at_start = numbers(plain[0])
    assert abs(at_start - expected_at_start) <= 10  # two of 20 images
    np.testing.assert_allclose(losses, expected, rtol=0.03)
    assert {weight.dtype for weight in load_encoder(run.path).weights} == {"float32"}
