"""Supervised training and DeepCluster as a user runs them, through all programs."""

import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import skip_exports
from helpers.stops import stop_after

from and_tf import load_encoder
from and_tf.encoders import pooled_features
from and_tf.export import load_exported
from and_tf.methods import METHODS
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir

pytestmark = pytest.mark.usefixtures("thin_resnet")

TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8",
    "--train_split=train[:200]", "--eval_split=test[:60]", "--rounds=0", "--epochs_per_round=2",
    "--batch_size=64", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--seed=5",
]  # fmt: skip


@pytest.fixture(scope="module", params=["deepcluster", "supervised"])
def finished(request, tmp_path_factory):
    """A run of two epochs of four steps, and its flags."""
    run = Workdir(tmp_path_factory.mktemp("runs") / request.param)
    flags = [*TINY, f"--method={request.param}"]
    assert programs.train([*flags, f"--workdir={run.path}"]) == 0
    return run, flags


def test_the_encoder_is_exported_without_the_top(finished):
    run, _ = finished
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    expected = pooled_features(load_encoder(run.path)).predict(images, verbose=0)
    np.testing.assert_allclose(load_exported(run.exports / "encoder")(images), expected, atol=1e-5)
    assert all(layer.name != "top" for layer in load_encoder(run.path).layers)


def test_it_is_evaluated_and_its_metrics_are_in_the_report(finished, capsys):
    run, flags = finished
    folder = f"--workdir={run.path}"
    assert programs.evaluate([folder, "--classifier=knn"]) == 0
    knn = run.read_metrics()[-1]["knn_top1"]
    assert f"{knn:.2f}" in capsys.readouterr().out
    assert programs.evaluate([folder, "--classifier=linear", "--layer=all"]) == 0
    assert programs.report([folder]) == 0
    (page,) = run.path.rglob("*.html")
    text, method = page.read_text(), METHODS[flags[-1].partition("=")[2]]
    assert method.title in text
    for title in method.metric_titles.values():
        assert title in text


def test_no_checkpoint_is_called_best_by_labels_that_were_learned(finished, capsys):
    run, flags = finished
    method = METHODS[flags[-1].partition("=")[2]]
    assert any("knn_top1_train" in record for record in run.read_metrics())
    assert run.best_checkpoint.is_file() != method.learns_from_labels
    status = programs.report([f"--workdir={run.path}", "--checkpoint=best"])
    assert (status == 0) != method.learns_from_labels
    if status:
        assert "--checkpoint=best is not in" in capsys.readouterr().err


def test_a_stopped_run_continues_as_if_never_stopped(finished, tmp_path, monkeypatch):
    whole, flags = finished
    stop_at = 5  # within an epoch of four steps
    run = Workdir(tmp_path / "run")
    skip_exports(monkeypatch)
    with stop_after(stop_at):
        assert programs.train([*flags, f"--workdir={run.path}"]) == 0
    assert checkpoint.load(run.checkpoint)[1]["step"] == stop_at
    assert programs.train([*flags, f"--workdir={run.path}"]) == 0
    ours, _ = checkpoint.load(run.checkpoint)
    theirs, _ = checkpoint.load(whole.checkpoint)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)

    def without_rate(records):
        return [{k: v for k, v in r.items() if k != "images_per_second"} for r in records]

    assert without_rate(run.read_metrics()) == without_rate(whole.read_metrics())


def test_a_step_that_is_not_finite_names_the_images_that_the_method_showed(
    finished, tmp_path, monkeypatch, capsys
):
    _, flags = finished
    run, shown = Workdir(tmp_path / "run"), []
    skip_exports(monkeypatch)
    from and_tf.training import loop

    plain = loop.train_pipeline

    def watched(*args, **kwargs):
        batches = plain(*args, **kwargs)
        return batches.map(lambda images, indices: (images * np.nan, spy(indices)))

    def spy(indices):
        import tensorflow as tf

        return tf.ensure_shape(tf.numpy_function(remember, [indices], tf.int64), (None,))

    def remember(indices):
        shown.append(indices.tolist())
        return indices

    monkeypatch.setattr(loop, "train_pipeline", watched)
    assert programs.train([*flags, f"--workdir={run.path}"]) != 0
    message = capsys.readouterr().err
    assert f"in step 1, images {', '.join(map(str, shown[0]))}: lower" in message
    assert "temperature" not in message


def test_supervised_training_on_images_without_labels_is_refused(tmp_path, monkeypatch, capsys):
    skip_exports(monkeypatch)
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images)
    flags = [f"--data=npz:{tmp_path / 'images.npz'}", "--eval_split=", *TINY[1:5], *TINY[6:]]
    flags = [flag for flag in flags if "split=train[" not in flag and "split=test" not in flag]
    where = f"--workdir={tmp_path / 'run'}"
    assert programs.train([*flags, "--method=supervised", where]) == 2
    message = capsys.readouterr().err
    assert "--method=supervised learns from labels, and " in message
    assert not (tmp_path / "run").exists()
    assert programs.train([*flags, "--method=deepcluster", where]) == 0  # clusters need none
