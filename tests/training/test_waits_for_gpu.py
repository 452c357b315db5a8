"""A training step hands a GPU its work without waiting for results, but for the check for NaN."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.gpu_placement import copies_to_host

from and_tf.cli.train import read_settings
from and_tf.runs.workdir import Workdir
from and_tf.training.build import build_experiment
from and_tf.training.fitting import training_input

pytestmark = pytest.mark.usefixtures("thin_resnet")

FLAGS = [
    "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8", "--batch_size=32",
    "--rounds=1", "--epochs_per_round=2", "--augment_on=device",
]  # fmt: skip
WAITS = (
    "[Assert]",  # a loss or gradient that is not finite ends the step before it changes anything
    "DynamicStitch",  # TensorFlow's gradient of a mean: of shapes alone, which lie on the host
)


@pytest.fixture(autouse=True)
def policy():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def copies(folder, *flags):
    rng = np.random.default_rng(0)
    images = {
        f"x_{split}": rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
        for split, count in (("train", 192), ("test", 20))
    }
    labels = {name.replace("x", "y"): np.arange(len(found)) % 4 for name, found in images.items()}
    np.savez(folder / "images.npz", **images, **labels)
    (folder / "run").mkdir()
    settings = read_settings([*FLAGS, f"--data=npz:{folder / 'images.npz'}", *flags])
    experiment = build_experiment(settings, Workdir(folder / "run"))
    data = training_input(experiment)

    def step(*batch):
        return experiment.model.train_step(batch)

    return copies_to_host(step, *data.element_spec)


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--precision=mixed_bfloat16", "--lr_policy=cosine"],
        ["--precision=mixed_float16"],
        ["--cache_mb=0"],
        ["--method=instance", "--flip"],
        ["--views=2", "--group_weight=1", "--entropy_weight=0.2"],
        ["--neighbourhood_size=3", "--bank_dtype=float16"],
        ["--method=supervised", "--rounds=0"],
        ["--method=deepcluster", "--num_clusters=5", "--rounds=0"],
        ["--method=split_brain", "--rounds=0", "--color_jitter=0", "--grey=0"],
    ],
    ids=" ".join,
)
def test_a_step_waits_for_nothing_but_its_check(tmp_path, flags):
    found = [str(copy) for copy in copies(tmp_path, *flags)]
    assert [copy for copy in found if not any(name in copy for name in WAITS)] == []
    assert sum("[Assert]" in copy for copy in found) <= 1


def test_what_waits_is_found():
    held = tf.constant(np.zeros((100, 7), np.uint8))

    def step(values, indices):
        whole = tf.cast(values, tf.int32)  # on the device; what follows is on the host
        return tf.gather(held, indices), tf.minimum(whole, 3), tf.minimum(values, 3.0)

    specs = tf.TensorSpec((None,), tf.float32), tf.TensorSpec((None,), tf.int64)
    assert {copy.dtype for copy in copies_to_host(step, *specs)} == {"uint8", "int32"}
