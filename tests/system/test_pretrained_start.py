"""Runs that start from weights learned before, as a user starts them: from a file to the report."""

import shutil

import keras
import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import skip_exports

from and_tf import load_encoder
from and_tf.encoders import layer_names, open_pretrained
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training import callbacks

pytestmark = pytest.mark.usefixtures("keras_exports")

DATA = ["--data=digits", "--train_split=train[:160]", "--eval_split=test[:60]", "--batch_size=64"]
TINY = [*DATA, "--image_size=16", "--color_jitter=0", "--grey=0", "--checkpoint_steps=1"]
ROUNDS = ["--rounds=1", "--epochs_per_round=2", "--freeze=stem,stage1", "--init_rate=0.1"]


def foreign_network(path):
    """A small network with other names than ours, Keras's own preprocessing and no unit rows."""
    keras.utils.set_random_seed(3)
    x = images = keras.Input((24, 24, 3))
    x = keras.layers.Rescaling(1 / 255)(x)
    for number, filters in enumerate((8, 12, 16)):
        x = keras.layers.Conv2D(filters, 3, 2, padding="same", name=f"c{number}")(x)
        x = keras.layers.BatchNormalization(name=f"b{number}")(x)
        x = keras.layers.ReLU(name=f"r{number}")(x)
    model = keras.Model(images, x, name="foreign")
    model.get_layer("b1").moving_mean.assign(np.linspace(-0.1, 0.1, 12))
    model.save(path)
    return model


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A finished run from a file that is gone since, and what it started from."""
    folder = tmp_path_factory.mktemp("runs")
    foreign_network(folder / "foreign.keras")
    run = Workdir(folder / "run")
    flags = [*TINY, *ROUNDS, f"--init={folder / 'foreign.keras'}", f"--workdir={run.path}"]
    with pytest.MonkeyPatch.context() as patch:
        skip_exports(patch)
        assert programs.train(flags) == 0
    before = open_pretrained(str(folder / "foreign.keras"), 16)
    (folder / "foreign.keras").rename(folder / "moved.keras")
    return run, before, flags


def test_frozen_parts_stay_and_the_others_learn(started):
    run, before, _ = started
    after = load_encoder(run.path)
    for name in ("c0", "b0", "c1", "b1"):
        for one, other in zip(
            before.get_layer(name).weights, after.get_layer(name).weights, strict=True
        ):
            np.testing.assert_array_equal(one, other, err_msg=name)
    assert np.any(before.get_layer("c2").kernel != after.get_layer("c2").kernel)
    assert np.any(before.get_layer("b2").moving_mean != after.get_layer("b2").moving_mean)


def test_a_run_needs_its_start_no_more(started, tmp_path, capsys):
    run, _, flags = started
    folder = f"--workdir={run.path}"
    assert programs.evaluate([folder, "--classifier=knn", "--layer=all"]) == 0
    assert "stage2" in capsys.readouterr().out
    for layer, name in (("r1", "r1"), ("conv2", "stage1"), ("auto", "fc")):
        assert programs.evaluate([folder, "--classifier=knn", f"--layer={layer}"]) == 0
        assert f"layer {name}, " in capsys.readouterr().out
    assert programs.evaluate([folder, "--classifier=knn", "--layer=r9"]) == 2
    said = capsys.readouterr().err
    assert "--layer=r9: " in said and "stem, stage1, stage2, fc" in said and "such as r2" in said
    assert programs.report([folder]) == 0
    assert programs.export([folder, "--format=litert", f"--output={tmp_path / 'e.tflite'}"]) == 0
    assert programs.export([folder, "--format=onnx", f"--output={tmp_path / 'e.onnx'}"]) == 0
    assert programs.train(flags) == 0  # it is finished
    assert layer_names(load_encoder(run.path)) == ["stem", "stage1", "stage2", "fc"]


def test_what_the_weights_were_worth_stands_in_the_summary(started):
    run, _, _ = started
    assert f"at start    {run.read_metadata()['init_knn_top1']:.1f} %" in run.summary.read_text()


def test_a_stopped_run_continues_without_the_file_as_if_never_stopped(
    started, tmp_path, monkeypatch
):
    skip_exports(monkeypatch)
    run, _, flags = started
    again = Workdir(tmp_path / "again")
    spec = run.path.parent / "foreign.keras"
    shutil.copy(run.path.parent / "moved.keras", spec)
    flags = [*flags[:-1], f"--workdir={again.path}"]

    def stop(self, batch, logs=None, save=callbacks.Checkpoints.on_train_batch_end):
        save(self, batch, logs)
        if self.counter.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Checkpoints, "on_train_batch_end", stop)
        assert programs.train(flags) == 130
    spec.unlink()
    assert programs.train(flags) == 0
    whole, _ = checkpoint.load(run.checkpoint)
    parts, _ = checkpoint.load(again.checkpoint)
    assert whole.keys() == parts.keys()
    for name, array in whole.items():
        np.testing.assert_allclose(array, parts[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_no_epoch_at_all_leaves_the_frozen_encoder_evaluated_and_exported(started, tmp_path):
    _, before, _ = started
    file = tmp_path / "start.keras"
    before.save(file)
    run = Workdir(tmp_path / "frozen")
    none = ["--rounds=0", "--epochs_per_round=0", "--freeze=all"]
    assert programs.train([*TINY, *none, f"--init={file}", f"--workdir={run.path}"]) == 0
    (record,) = run.read_metrics()
    assert record["step"] == 0 and record["epoch"] == 0
    # The bank holds the embeddings of clean images: nothing was trained since.
    assert record["knn_top1"] == record["knn_top1_bank"] == run.read_metadata()["init_knn_top1"]
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    exported = keras.models.load_model(run.exports / "encoder.keras")
    np.testing.assert_allclose(
        exported.predict(images, verbose=0), before.predict(images, verbose=0), atol=1e-6
    )
    assert programs.report([f"--workdir={run.path}"]) == 0
    assert programs.evaluate([f"--workdir={run.path}", "--classifier=knn"]) == 0


def test_a_run_starts_from_another_one_at_another_size(tmp_path, capfd, monkeypatch):
    skip_exports(monkeypatch)
    first, second = Workdir(tmp_path / "first"), Workdir(tmp_path / "second")
    none = ["--rounds=0", "--epochs_per_round=0", "--encoder=alexnet"]
    assert programs.train([*TINY, *none, f"--workdir={first.path}"]) == 0
    larger = [*DATA, *none, "--image_size=24", f"--init={first.path}"]
    assert programs.train([*larger, f"--workdir={second.path}"]) == 0
    assert "fresh: hidden1_dense" in capfd.readouterr().err
    kernels = [load_encoder(run.path).get_layer("conv3_conv").kernel for run in (first, second)]
    np.testing.assert_array_equal(*kernels)
    # The weights expect the pixels of the first run.
    assert second.read_metadata()["mean"] == pytest.approx(first.read_metadata()["mean"], rel=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--init=nowhere"], "--init=nowhere: nowhere does not exist"),
        (["--init=MobileNetV2"], "mobilenet_v2_weights"),
        (["--encoder=init"], "--encoder=init is the network of --init"),
        (["--init_rate=0.5"], "--init_rate=0.5 is for layers loaded from --init"),
        (["--epochs_per_round=0"], "--epochs_per_round=0 leaves --rounds=4 without a step"),
        (["--encoder=resnet_small", "--freeze=all"], "leaves nothing to train"),
        (["--encoder=resnet_small", "--freeze=stage9"], "--freeze=stage9 is not part"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(flags, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert programs.train([*TINY, *flags, f"--workdir={tmp_path / 'run'}"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("train.py:") and message in line
