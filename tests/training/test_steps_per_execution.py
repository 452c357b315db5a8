"""Several steps in one call of TensorFlow: everything is as with one, and the pace is told."""

import json
import signal
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import programs
from tensorflow.python.framework.config import disable_op_determinism

from and_tf.data.pipeline import batch_indices, train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint
from and_tf.training import build as experiment
from and_tf.training import callbacks, pace
from and_tf.training import loop as training
from and_tf.training.optimizers import TorchSGD

STEPS, EPOCHS = 7, 4  # of 32 images; the last batch of an epoch has 8
FLAGS = [
    "--data=digits", "--image_size=16", "--embedding_dim=8", "--train_split=train[:200]",
    "--eval_split=test[:50]", "--rounds=1", "--epochs_per_round=2", "--batch_size=32",
    "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=0", "--lr_policy=cosine",
]  # fmt: skip


def small_encoder(options, mean, std, synchronized_batch_norm=False):
    x = images = keras.Input((options.image_size, options.image_size, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(x)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.Dense(options.embedding_dim, name="fc")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Runs without what takes long and does not matter here: a deep encoder and the exports."""
    monkeypatch.setattr(experiment, "build_encoder", small_encoder)
    monkeypatch.setattr(training, "write_export", lambda *others: None)


@pytest.fixture(scope="module")
def deterministic():
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


def run(folder, steps_per_execution, *flags):
    flags = [*FLAGS, f"--workdir={folder}", f"--steps_per_execution={steps_per_execution}", *flags]
    assert programs.train(flags) == 0
    arrays, facts = checkpoint.load(folder / "checkpoints" / "last.npz")
    return arrays, facts["step"]


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
        patch.setattr(experiment, "build_encoder", small_encoder)
        patch.setattr(training, "write_export", lambda *others: None)
        assert run(folder, 1)[1] == STEPS * EPOCHS
    return folder


@pytest.mark.parametrize("steps_per_execution", [3, 50])
def test_a_run_is_the_same_bit_for_bit(one_by_one, tmp_path, steps_per_execution):
    assert run(tmp_path / "run", steps_per_execution)[1] == STEPS * EPOCHS
    assert_same_run(tmp_path / "run", one_by_one)


@pytest.mark.parametrize(("first", "then"), [(3, 1), (1, 50)])
def test_a_stop_ends_the_execution_and_any_value_continues(
    one_by_one, tmp_path, monkeypatch, capsys, first, then
):
    plain = pace.StepCounter.on_train_batch_begin

    def stop(self, batch, logs=None):
        if self.step in (9, 10):  # within the second epoch, whose executions of 3 begin at 7
            signal.raise_signal(signal.SIGTERM)
        plain(self, batch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(pace.StepCounter, "on_train_batch_begin", stop)
        step = run(tmp_path / "run", first)[1]
    assert step == (13 if first == 3 else 10)
    assert f"Stopped after step {step}." in capsys.readouterr().out
    assert run(tmp_path / "run", then)[1] == STEPS * EPOCHS
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

    def note(path, arrays, facts, previous=None):
        if path.name == "last.npz":
            saved.append(facts["step"])
            assert arrays["optimizer/0000"] == facts["step"]
        plain(path, arrays, facts, previous)

    monkeypatch.setattr(checkpoint, "save", note)
    run(tmp_path / "run", 3, *flags)
    assert saved == expected


@pytest.mark.parametrize("steps_per_execution", [3, 50])
def test_a_value_that_is_no_number_names_its_step_and_images(
    tmp_path, monkeypatch, capsys, steps_per_execution
):
    indices = batch_indices(200, 32, seed=0, step=4).numpy()

    def spoiled(*args, **kwargs):
        def spoil(images, chosen):
            is_broken = tf.reduce_any(chosen == indices[0])
            return tf.where(is_broken, np.nan, images), chosen

        return train_pipeline(*args, **kwargs).map(spoil)

    monkeypatch.setattr(training, "train_pipeline", spoiled)
    flags = [*FLAGS, f"--workdir={tmp_path}", f"--steps_per_execution={steps_per_execution}"]
    assert programs.train(flags) == 2
    said = capsys.readouterr().err
    assert f"in step 5, images {', '.join(map(str, indices))}:" in said


def test_bar_and_rate_count_steps(tmp_path, monkeypatch, capsys):
    counters = []

    class Kept(pace.StepCounter):
        def __init__(self):
            super().__init__()
            counters.append(self)

    monkeypatch.setattr(training, "StepCounter", Kept)
    clock = types.SimpleNamespace(monotonic=lambda: 0.5 * counters[0].step)
    monkeypatch.setattr(callbacks, "time", clock)
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
        options = types.SimpleNamespace(image_size=16, embedding_dim=8)
        model = AND(small_encoder(options, 0, 1), 36, seed=0)
        model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True), **settings)
    counter = pace.StepCounter()
    counts = []
    tell = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: counts.append(counter.step)
    )
    augmentation, steps = AugmentationSettings(image_size=16), model.optimizer.iterations
    data = train_pipeline(array_source(images), 8, augmentation, step=steps)
    model.fit(data, epochs=2, callbacks=[counter, tell], verbose=0, shuffle=False)
    return checkpoint.values(checkpoint.round_state(model) | {"bank": model.bank.rows}), counts


def test_several_replicas_are_refused(two_replicas):
    with pytest.raises(ValueError, match="steps_per_execution=3 works on one replica only"):
        fitted(two_replicas, steps_per_execution=3)


def test_a_compiled_step_takes_the_same_steps():
    here = tf.distribute.get_strategy()
    one, counts = fitted(here, jit_compile=True)
    assert counts == list(range(1, 11))
    several, counts = fitted(here, jit_compile=True, steps_per_execution=3)
    assert counts == [3, 5, 8, 10]
    for name in one:
        np.testing.assert_allclose(several[name], one[name], atol=1e-6, err_msg=name)


def test_a_saved_model_keeps_the_number(tmp_path):
    options = types.SimpleNamespace(image_size=16, embedding_dim=8)
    model = AND(small_encoder(options, 0, 1), 36)
    model.compile(TorchSGD(0.05), steps_per_execution=3)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").steps_per_execution == 3


@pytest.mark.parametrize(
    ("gpus", "replicas", "flag", "expected"),
    [([], 1, 0, 1), (["a"], 1, 0, 50), (["a", "b"], 2, 0, 1), (["a"], 1, 3, 3)],
)
def test_on_one_gpu_many_steps_are_run_at_once(monkeypatch, gpus, replicas, flag, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    options = types.SimpleNamespace(steps_per_execution=flag)
    assert experiment._steps_per_execution(options, replicas) == expected


class Drive:
    """Calls the callbacks as `fit` would, on a clock of its own; `said` is what they printed."""

    def __init__(self, monkeypatch, capsys, steps_per_execution=1, steps_per_epoch=12, first=0):
        self.now, self.capsys = 1000.0, capsys
        monkeypatch.setattr(pace, "time", types.SimpleNamespace(monotonic=lambda: self.now))
        plan = RoundPlan(4, 200)
        self.counter = pace.StepCounter()
        self.estimate = pace.CostEstimate(self.counter, plan, steps_per_epoch)
        self.size, self.per_epoch = steps_per_execution, steps_per_epoch
        self.iterations = first
        optimizer = types.SimpleNamespace(iterations=self)
        for callback in (self.counter, self.estimate):
            callback.set_model(types.SimpleNamespace(optimizer=optimizer))

    def numpy(self):
        return self.iterations

    def fit(self, steps, seconds=2.0, first_seconds=60.0, between=500.0):
        """So many steps: the first execution compiles, and between epochs something is measured."""
        last = self.iterations + steps
        self._call("on_train_begin")
        while self.iterations < last:
            left = self.per_epoch - self.iterations % self.per_epoch
            for callback in (self.counter, self.estimate):
                callback.set_params({"steps": left})
            self.now += between
            self._call("on_epoch_begin", self.iterations // self.per_epoch)
            for start in range(0, left, self.size):
                done = min(self.size, left - start)
                self.iterations += done
                self.now += done * seconds + first_seconds
                first_seconds = 0
                self._call("on_train_batch_end", start + self.size - 1)
                if self.iterations >= last:
                    break
            self.now += between
            self._call("on_epoch_end", 0)
        return self.capsys.readouterr().out

    def _call(self, name, *args):
        for callback in (self.counter, self.estimate):
            getattr(callback, name)(*args)


def test_the_cost_is_told_once_after_20_steps(monkeypatch, capsys):
    drive = Drive(monkeypatch, capsys)
    assert drive.fit(19) == ""
    # 1,000 epochs of 12 steps of 2 s, less the 20 that are done.
    expected = "About 24s an epoch, 6h39m to the end of epoch 1,000; evaluations and 4 discoveries "
    assert drive.fit(1, first_seconds=0) == expected + "come on top.\n"
    assert drive.fit(100) == ""


def test_the_cost_is_measured_over_whole_executions_after_the_first(monkeypatch, capsys):
    drive = Drive(monkeypatch, capsys, steps_per_execution=50, steps_per_epoch=391)
    assert drive.fit(50) == ""
    assert drive.fit(50, seconds=0.01, first_seconds=0).startswith("About 3.9s an epoch, 1h05m to ")


def test_the_cost_is_told_again_of_a_continued_run(monkeypatch, capsys):
    drive = Drive(monkeypatch, capsys, first=12 * 600 - 10)
    said = drive.fit(20)
    assert said.startswith("About 24s an epoch, 2h39m to the end of epoch 1,000; ")
    assert "and 1 discovery come on top" in said
    drive = Drive(monkeypatch, capsys, first=12 * 1000 - 10)
    assert drive.fit(10) == ""  # fewer steps than the measurement takes
