"""Instance, DeepCluster and supervised training as a user runs them, through all programs."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers import programs
from helpers.small_runs import skip_exports
from helpers.stops import stop_after

from and_tf import load_encoder
from and_tf.encoders import layer_names, pooled_features
from and_tf.export import load_exported
from and_tf.export import run as export_run
from and_tf.methods import METHODS
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training import fitting

pytestmark = pytest.mark.usefixtures("thin_resnet")

TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=8", "--embedding_dim=4",
    "--train_split=train[:120]", "--eval_split=test[:40]", "--rounds=0", "--epochs_per_round=2",
    "--batch_size=32", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--seed=5",
]  # fmt: skip


@pytest.fixture(scope="module", params=["deepcluster", "supervised", "instance"])
def finished(request, tmp_path_factory):
    """A run of two epochs of four steps, its flags and its method."""
    run = Workdir(tmp_path_factory.mktemp("runs") / request.param)
    flags = [*TINY, f"--method={request.param}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_run, "FORMATS_AT_END", ("savedmodel",))
        assert programs.train([*flags, f"--workdir={run.path}"]) == 0
    return run, flags, METHODS[request.param]


def test_the_encoder_is_exported_without_the_top(finished):
    run, *_ = finished
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    expected = pooled_features(load_encoder(run.path)).predict(images, verbose=0)
    np.testing.assert_allclose(load_exported(run.exports / "encoder")(images), expected, atol=1e-5)
    assert all(layer.name != "top" for layer in load_encoder(run.path).layers)


def test_every_layer_is_evaluated_and_the_report_has_the_metrics(finished, capsys):
    run, _, method = finished
    folder = f"--workdir={run.path}"
    assert programs.evaluate([folder, "--classifier=knn"]) == 0
    knn = run.read_metrics()[-1]["knn_top1"]
    assert f"{knn:.2f}" in capsys.readouterr().out
    assert programs.evaluate([folder, "--classifier=linear", "--layer=all"]) == 0
    (linear,) = run.evaluations.glob("linear*.json")
    rows = json.loads(linear.read_text())["rows"]
    assert [row["layer"] for row in rows] == layer_names(load_encoder(run.path))
    assert programs.report([folder]) == 0
    text = (run.path / "report.html").read_text()
    assert method.title in text
    logged = {name for record in run.read_metrics() for name in record} & set(method.metric_titles)
    assert len(logged) == (5 if method.title == "DeepCluster" else 0)
    for name in logged:
        assert method.metric_titles[name] in text
        assert method.metric_meanings.get(name, "") in text


def test_no_checkpoint_is_called_best_by_labels_that_were_learned(finished, capsys):
    run, _, method = finished
    assert any("knn_top1_train" in record for record in run.read_metrics())
    assert run.best_checkpoint.is_file() != method.learns_from_labels
    if method.learns_from_labels:
        assert programs.report([f"--workdir={run.path}", "--checkpoint=best"]) == 2
        assert "--checkpoint=best is not in" in capsys.readouterr().err


def test_a_stopped_run_continues_as_if_never_stopped(finished, tmp_path, monkeypatch):
    whole, flags, _ = finished
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


@pytest.fixture
def unlabelled(tmp_path, monkeypatch):
    """Flags of a run, without exports, on images without labels."""
    skip_exports(monkeypatch)
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images)
    flags = [flag for flag in TINY if "data=" not in flag and "_split=" not in flag]
    return [f"--data=npz:{tmp_path / 'images.npz'}", f"--workdir={tmp_path / 'run'}", *flags]


def test_clusters_need_no_labels_and_a_step_that_is_not_finite_names_its_images(
    unlabelled, monkeypatch, capsys
):
    plain, shown = fitting.train_pipeline, []

    def watched(*args, **kwargs):
        batches = plain(*args, **kwargs)
        return batches.map(lambda images, indices: (images * np.nan, spy(indices)))

    def spy(indices):
        return tf.ensure_shape(tf.numpy_function(remember, [indices], tf.int64), (None,))

    def remember(indices):
        shown.append(indices.tolist())
        return indices

    monkeypatch.setattr(fitting, "train_pipeline", watched)
    assert programs.train([*unlabelled, "--method=deepcluster"]) != 0
    message = capsys.readouterr().err
    assert f"in step 1, images {', '.join(map(str, shown[0]))}: lower" in message
    assert "temperature" not in message


def test_supervised_training_on_images_without_labels_is_refused(unlabelled, tmp_path, capsys):
    assert programs.train([*unlabelled, "--method=supervised"]) == 2
    message = capsys.readouterr().err
    assert "--method=supervised learns from labels, and " in message
    assert not (tmp_path / "run").exists()
