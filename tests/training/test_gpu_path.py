"""All that a GPU run switches on, at once and on the CPU: a run is whole, and can be continued."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import programs
from helpers.small_runs import make_runs_small
from helpers.stops import stop_from

from and_tf.data.augmentation import on_device
from and_tf.data.pipeline import batch_indices
from and_tf.runs import checkpoint
from and_tf.search.neighbourhoods import discover
from and_tf.training import hardware, start

pytestmark = pytest.mark.system

FLAGS = [
    "--data=digits", "--image_size=16", "--embedding_dim=8", "--train_split=train[:192]",
    "--eval_split=test[:20]", "--rounds=1", "--epochs_per_round=1", "--batch_size=32",
    "--eval_every=0", "--jit_compile=on", "--augment_on=device", "--steps_per_execution=2",
    "--precision=mixed_float16", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0",
]  # fmt: skip
STEPS = 12  # in two epochs


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Without what takes long and does not matter here; the policy is restored."""
    make_runs_small(monkeypatch)
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def last(folder):
    return checkpoint.load(folder / "checkpoints" / "last.npz")


def test_a_stopped_run_continues_as_if_never_stopped(tmp_path, capsys):
    assert programs.train([*FLAGS, f"--workdir={tmp_path / 'whole'}"]) == 0
    said = capsys.readouterr().err
    assert "on its device, which holds all 192 images" in said
    flags = [*FLAGS, f"--workdir={tmp_path / 'cut'}"]
    with stop_from(2):
        assert programs.train(flags) == 0
    arrays, metadata = last(tmp_path / "cut")
    assert metadata["step"] == 4
    assert not any(array.dtype == np.uint8 for array in arrays.values())  # the images stay out
    assert programs.train(flags) == 0
    (ours, metadata), (theirs, _) = last(tmp_path / "cut"), last(tmp_path / "whole")
    assert metadata["step"] == STEPS
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, atol=1e-5, err_msg=name)


def test_a_step_that_is_no_number_is_named_with_its_images(tmp_path, monkeypatch, capsys):
    indices, plain = batch_indices(192, 32, seed=0, step=4).numpy(), on_device.from_noise

    def spoiled(*args):
        make = plain(*args)

        def spoil(noise, chosen):
            is_broken = tf.reduce_any(chosen == indices[0])
            return tf.where(is_broken, np.nan, make(noise, chosen))

        return spoil

    monkeypatch.setattr(on_device, "from_noise", spoiled)
    assert programs.train([*FLAGS, "--rounds=0", f"--workdir={tmp_path / 'run'}"]) == 2
    shown = ", ".join(map(str, indices))
    assert f"in step 5, images {shown}:" in capsys.readouterr().err


def test_mixed_stays_what_it_was_where_a_run_goes_on_elsewhere(tmp_path, monkeypatch, capsys):
    flags = [*FLAGS, "--precision=mixed", f"--workdir={tmp_path / 'run'}", "--rounds=0"]
    assert programs.train(flags) == 0
    assert "mixed_bfloat16, XLA on" in capsys.readouterr().err
    assert "--precision=mixed_bfloat16\n" in (tmp_path / "run" / "flags.cfg").read_text()
    losses = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert np.isfinite(json.loads(losses[0])["loss"])
    (tmp_path / "run" / "summary.txt").unlink()
    older = {"mixed": "mixed_float16", "float32": "float32"}
    monkeypatch.setattr(start, "precision_policy", older.get)
    assert programs.train(flags) == 0
    flags[flags.index("--precision=mixed")] = "--precision=float32"
    (tmp_path / "run" / "summary.txt").unlink()
    assert programs.train(flags) == 2
    assert "--precision=mixed_bfloat16, now float32" in capsys.readouterr().err


def test_memory_growth_and_the_main_device_are_those_of_the_gpus_found(monkeypatch):
    asked = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"a {kind}", "another"])
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, grows: asked.append((gpu, grows))
    )
    hardware.grow_memory()
    assert asked == [("a GPU", True), ("another", True)] and hardware.main_device() == "GPU:0"


def test_discovery_on_a_gpu_is_that_of_the_cpu(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    expected = discover(rows, 3)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["a GPU"])
    found = discover(rows, 3)
    np.testing.assert_array_equal(found.neighbours, expected.neighbours)
    np.testing.assert_allclose(found.entropy, expected.entropy, atol=1e-5)


@pytest.mark.parametrize("jit_compile", ["on", "auto"])
def test_a_strategy_of_a_single_device_is_none(tmp_path, monkeypatch, jit_compile):
    one = tf.config.list_logical_devices("CPU")[:1]
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind: one if kind == "CPU" else []
    )
    flags = [f"--jit_compile={jit_compile}", "--strategy=mirrored", f"--workdir={tmp_path}"]
    assert programs.train([*FLAGS, "--rounds=0", *flags]) == 0
