"""A method that takes no step, as a user runs it: evaluated, exported, stopped and continued."""

import signal

import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import skip_exports

from and_tf import load_encoder
from and_tf.encoders import build_encoder
from and_tf.encoders.pooling import pooled_features
from and_tf.export import load_exported
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.online_evaluation import Monitor

pytestmark = pytest.mark.usefixtures("keras_exports", "thin_resnet")

TINY = [
    "--data=digits", "--method=random", "--encoder=resnet_small", "--image_size=16",
    "--train_split=train[:150]", "--eval_split=test[:50]", "--rounds=1", "--epochs_per_round=2",
    "--batch_size=64", "--embedding_dim=8", "--seed=5",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = Workdir(tmp_path_factory.mktemp("runs") / "random")
    assert programs.train([*TINY, f"--workdir={run.path}"]) == 0
    return run


def test_the_encoder_is_exported_as_it_is_built(finished):
    metadata = finished.read_metadata()
    built = build_encoder("resnet_small", (16, 16, 3), 8, metadata["mean"], metadata["std"], seed=5)
    for one, other in zip(load_encoder(finished.path).weights, built.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    exported = load_exported(finished.exports / "encoder.keras")
    np.testing.assert_allclose(
        exported(images), pooled_features(built).predict(images, verbose=0), atol=1e-5
    )


def test_it_is_evaluated_once_and_its_files_say_that_no_step_was_taken(finished):
    (record,) = finished.read_metrics()
    assert record["step"] == 0 and 0 <= record["knn_top1"] <= 100 and "loss" not in record
    arrays, metadata = checkpoint.load(finished.checkpoint)
    assert metadata["step"] == 0 and "bank" not in arrays
    assert finished.ended_rounds() == [1]
    assert "not trained" in finished.summary.read_text()


def test_the_other_programs_take_it(finished, tmp_path, capsys):
    folder = f"--workdir={finished.path}"
    assert programs.evaluate([folder, "--classifier=knn"]) == 0
    knn = finished.read_metrics()[-1]["knn_top1"]
    assert f"{knn:.1f}" in capsys.readouterr().out
    assert programs.report([folder]) == 0
    page = (finished.path / "report.html").read_text()
    assert " parameters, not trained, seed 5" in page
    assert "epochs in" not in page and "0 of 4" not in page
    output = tmp_path / "encoder.keras"
    assert programs.export([folder, "--format=keras", f"--output={output}"]) == 0
    assert output.is_file()


def test_a_linear_classifier_is_trained_on_every_layer(finished):
    folder = f"--workdir={finished.path}"
    assert programs.evaluate([folder, "--classifier=linear", "--layer=all"]) == 0
    texts = [path.read_text() for path in finished.evaluations.glob("linear*.json")]
    for layer in ("stem", "stage1", "stage2", "stage3", "stage4", "fc"):
        assert sum(f'"{layer}"' in text for text in texts) == 1


def test_a_stop_in_its_evaluation_is_continued(finished, tmp_path, monkeypatch, capsys):
    run, plain = Workdir(tmp_path / "run"), Monitor.measure
    skip_exports(monkeypatch)

    def stop(self, model):
        signal.raise_signal(signal.SIGTERM)
        return plain(self, model)

    with monkeypatch.context() as patch:
        patch.setattr(Monitor, "measure", stop)
        assert programs.train([*TINY, f"--workdir={run.path}"]) == 0
    assert "Stopped after step 0." in capsys.readouterr().err and not run.summary.exists()
    assert programs.train([*TINY, f"--workdir={run.path}"]) == 0
    assert run.read_metrics() == finished.read_metrics()
    assert run.summary.is_file()
