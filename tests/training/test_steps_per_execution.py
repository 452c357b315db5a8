"""Several steps in one call of TensorFlow: everything is as with one, and counted as such."""

import json
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import programs
from helpers.small_runs import make_runs_small, small_encoder
from helpers.stops import stop_from

from and_tf.data.pipeline import batch_indices, train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.replicas import steps_of_processes
from and_tf.runs import checkpoint
from and_tf.training import callbacks, fitting
from and_tf.training.callbacks import StepCounter, step_counter
from and_tf.training.optimizers import TorchSGD

pytestmark = pytest.mark.system

STEPS, EPOCHS = 7, 4  # of 32 images; the last batch of an epoch has 8
FLAGS = [
    "--data=digits", "--image_size=16", "--embedding_dim=8", "--train_split=train[:200]",
    "--eval_split=test[:50]", "--rounds=1", "--epochs_per_round=2", "--batch_size=32",
    "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=0", "--lr_policy=cosine",
]  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make_runs_small(monkeypatch)


@pytest.fixture(scope="module")
def deterministic():
    tf.config.experimental.enable_op_determinism()


def run(folder, steps_per_execution, *flags):
    flags = [*FLAGS, f"--workdir={folder}", f"--steps_per_execution={steps_per_execution}", *flags]
    assert programs.train(flags) == 0
    arrays, metadata = checkpoint.load(folder / "checkpoints" / "last.npz")
    return arrays, metadata["step"]


def records(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) | {"images_per_second": 0} for line in lines]


def assert_same_run(folder, other):
    ours, theirs = (checkpoint.load(f / "checkpoints" / "last.npz")[0] for f in (folder, other))
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert records(folder) == records(other)  # losses, rates, evaluations


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory, deterministic):
    """A finished run of one step at a time."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    with pytest.MonkeyPatch.context() as patch:
        make_runs_small(patch)
        assert run(folder, 1)[1] == STEPS * EPOCHS
    return folder


def test_a_run_is_the_same_bit_for_bit(one_by_one, tmp_path):
    assert run(tmp_path / "run", 3)[1] == STEPS * EPOCHS
    assert_same_run(tmp_path / "run", one_by_one)


def test_a_stop_ends_the_execution_and_any_value_continues(one_by_one, tmp_path, capsys):
    with stop_from(10):
        step = run(tmp_path / "run", 3)[1]
    assert step == 13  # executions of 3 end at 10, 13 and 14
    assert f"Stopped after step {step}." in capsys.readouterr().err
    assert run(tmp_path / "run", 50)[1] == STEPS * EPOCHS
    assert_same_run(tmp_path / "run", one_by_one)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        # Executions end at 3, 6, 7 and 10, 13, 14; due are 4, 8 and 12, and each end of an epoch.
        (["--checkpoint_steps=4", "--rounds=0"], [6, 7, 10, 13, 14]),
        (["--checkpoint_epochs=0"], [14, 28]),  # ends of rounds
        (["--checkpoint_epochs=3"], [14, 21, 28]),
    ],
)
def test_checkpoints_come_at_the_first_end_of_an_execution_that_is_due(
    tmp_path, monkeypatch, flags, expected
):
    saved, plain = [], checkpoint.save

    def note(path, arrays, metadata, previous=None):
        if path.name == "last.npz":
            saved.append(metadata["step"])
            assert arrays["optimizer/0000"] == metadata["step"]
        plain(path, arrays, metadata, previous)

    monkeypatch.setattr(checkpoint, "save", note)
    run(tmp_path / "run", 3, *flags)
    assert saved == expected


@pytest.mark.parametrize("steps_per_execution", [3, 50])  # 1: `tests/system/test_numbers.py`
def test_a_value_that_is_no_number_names_its_step_and_images(
    tmp_path, monkeypatch, capsys, steps_per_execution
):
    indices = batch_indices(200, 32, seed=0, step=4).numpy()

    def spoiled(*args, **kwargs):
        def spoil(images, chosen):
            is_broken = tf.reduce_any(chosen == indices[0])
            return tf.where(is_broken, np.nan, images), chosen

        return train_pipeline(*args, **kwargs).map(spoil)

    monkeypatch.setattr(fitting, "train_pipeline", spoiled)
    flags = [*FLAGS, f"--workdir={tmp_path}", f"--steps_per_execution={steps_per_execution}"]
    assert programs.train(flags) == 2
    said = capsys.readouterr().err
    assert f"in step 5, images {', '.join(map(str, indices))}: lower --learning_rate=" in said


def test_bar_and_rate_count_steps(tmp_path, monkeypatch, capsys):
    counters = []

    class Kept(StepCounter):
        def __init__(self, *others):
            super().__init__(*others)
            counters.append(self)

    monkeypatch.setattr(callbacks, "StepCounter", Kept)
    clock = types.SimpleNamespace(monotonic=lambda: 0.5 * counters[0].step)
    monkeypatch.setattr(step_counter, "time", clock)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(tmp_path / "run", 3, "--rounds=0")
    assert f"{2 * STEPS}/{2 * STEPS}" in capsys.readouterr().err
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line).get("images_per_second") for line in lines]
    assert [rate for rate in rates if rate] == [pytest.approx(200 / 3.5)] * 2


def fitted(strategy, **settings):
    images = np.random.default_rng(0).integers(0, 256, (36, 16, 16, 3), "uint8")
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = AND(small_encoder("", (16, 16, 3), 8), 36, seed=0)
        model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True), **settings)
    counter = StepCounter(36, 5)
    counts = []
    tell = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: counts.append(counter.step)
    )
    augmentation, steps = AugmentationSettings(image_size=16), model.optimizer.iterations
    data = train_pipeline(array_source(images), 8, augmentation, step=steps)
    model.fit(data, epochs=2, callbacks=[counter, tell], verbose=0, shuffle=False)
    return checkpoint.values(checkpoint.round_state(model) | {"bank": model.bank.rows}), counts


def test_between_processes_an_execution_takes_as_many_steps_as_there_are_batches():
    def step(batches):
        if not batches:
            raise tf.errors.OutOfRangeError(None, None, "no batch is left")
        return {"loss": batches.pop(0)}

    batches, run = list(range(7)), steps_of_processes(step, 3)
    assert [run(batches)["loss"] for _ in range(3)] == [2, 5, 6]
    with pytest.raises(tf.errors.OutOfRangeError):
        run(batches)


def test_a_compiled_step_takes_the_same_steps():
    here = tf.distribute.get_strategy()
    one, counts = fitted(here, jit_compile=True)
    assert counts == list(range(1, 11))
    several, counts = fitted(here, jit_compile=True, steps_per_execution=3)
    assert counts == [3, 5, 8, 10]
    for name in one:
        np.testing.assert_allclose(several[name], one[name], atol=1e-6, err_msg=name)


def test_a_saved_model_keeps_the_number(tmp_path):
    model = AND(small_encoder("", (16, 16, 3), 8), 36)
    model.compile(TorchSGD(0.05), steps_per_execution=3)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").steps_per_execution == 3
